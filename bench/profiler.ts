// Preloaded into a measured server (node --import): tells the bench what the process costs, when the bench asks over the
// channel. Does nothing before that.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { summarise, type CpuProfile, type ProfileSummary } from './profile-summary.js';

/** `stop` with a file keeps the whole profile there, for the developer tools of a browser. */
export type ProbeQuestion =
  { readonly kind: 'cpu' } | { readonly kind: 'start' } | { readonly kind: 'stop'; readonly file: string | null };
export type ProbeAnswer =
  | { readonly kind: 'cpu'; readonly milliseconds: number }
  | { readonly kind: 'start' }
  | { readonly kind: 'stop'; readonly summary: ProfileSummary };

const session = new Session();

process.on('message', (question: ProbeQuestion) => {
  void answer(question).then((message) => process.send?.(message));
});
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

async function answer(question: ProbeQuestion): Promise<ProbeAnswer> {
  if (question.kind === 'cpu') {
    const { user, system } = process.cpuUsage();
    return { kind: 'cpu', milliseconds: (user + system) / 1000 };
  }
  if (question.kind === 'start') {
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 500 });
    await session.post('Profiler.start');
    return { kind: 'start' };
  }
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  if (question.file !== null) writeFileSync(question.file, JSON.stringify(profile));
  return { kind: 'stop', summary: summarise(profile as CpuProfile) };
}
