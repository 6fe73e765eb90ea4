import { readdirSync, readFileSync } from 'node:fs';

/** `_SC_CLK_TCK` of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Processor time in milliseconds of a process and all its children, the ended ones included. From /proc, so NaN where
 * there is none. Fields of proc_pid_stat(5).
 */
export function processorTimeOfTree(root: number): number {
  let ticks = 0;
  try {
    for (const entry of readdirSync('/proc')) {
      const fields = /^\d+$/.test(entry) ? statOf(entry) : null;
      if (fields === null || (Number(entry) !== root && Number(fields[1]) !== root)) continue;
      const own = Number(fields[11]) + Number(fields[12]);
      ticks += Number(entry) === root ? own + Number(fields[13]) + Number(fields[14]) : own;
    }
  } catch {
    return Number.NaN;
  }
  return (ticks * 1000) / TICKS_PER_SECOND;
}

/** The fields after the name, which may hold anything; null for a process that has just ended. */
function statOf(pid: string): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
