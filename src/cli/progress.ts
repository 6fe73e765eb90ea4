const PAUSE_MILLISECONDS = 1_000;

/**
 * Tells on standard error how far a long work is, at most once a second, on one line that is written over. Undefined where
 * nobody watches: a file or a pipe gets nothing.
 */
export function progressOnTerminal(
  what: string,
  terminal: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr,
): ((done: number, size: number) => void) | undefined {
  if (!terminal.isTTY) return undefined;
  let told = performance.now();
  let shown = false;
  return (done, size) => {
    const now = performance.now();
    const over = done >= size;
    if (over ? !shown : now - told < PAUSE_MILLISECONDS) return;
    told = now;
    shown = !over;
    terminal.write(over ? '\r\u001b[K' : `\r\u001b[K${what}: ${done} of ${size}`);
  };
}
