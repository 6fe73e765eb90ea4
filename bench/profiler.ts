// Preloaded into a measured server (node --import): tells the bench what the process costs, when the bench asks over the
// channel. Does nothing before that.
import { Session } from 'node:inspector/promises';
import { summarise, type CpuProfile, type ProfileSummary } from './profile-summary.js';

export type ProbeQuestion = 'cpu' | 'start' | 'stop';
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
  if (question === 'cpu') {
    const { user, system } = process.cpuUsage();
    return { kind: 'cpu', milliseconds: (user + system) / 1000 };
  }
  if (question === 'start') {
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 500 });
    await session.post('Profiler.start');
    return { kind: 'start' };
  }
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  return { kind: 'stop', summary: summarise(profile as CpuProfile) };
}
