/**
 * What a number of callers get done, each asking again as soon as it is answered: answers a second, median and 99th
 * percentile of the time for one in milliseconds.
 */
export async function throughput(
  callers: number,
  seconds: number,
  work: () => Promise<unknown>,
): Promise<[number, number, number]> {
  const start = performance.now();
  const end = start + seconds * 1000;
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let at = performance.now(); at < end; at = performance.now()) {
        await work();
        times.push(performance.now() - at);
      }
    }),
  );
  const elapsed = (performance.now() - start) / 1000;
  times.sort((one, other) => one - other);
  return [times.length / elapsed, percentile(times, 0.5), percentile(times, 0.99)];
}

/** Of times in ascending order; 0 without any. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
