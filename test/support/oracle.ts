/** What one request of an attacker asked and what came back. */
export interface Trial {
  /** What is true of the person, and the attacker wants to know: such as whether the guess is right. */
  readonly truth: string;
  /** Everything that the attacker can tell apart in the answer. */
  readonly answer: string;
}

export interface ChannelReport {
  readonly channel: string;
  readonly requests: number;
  /** Answers that can be told apart. */
  readonly answers: number;
  /** What all answers of the channel together tell about the truth (mutual information), in bits a request. */
  readonly bits: number;
}

/** The mutual information of truth and answer over the trials, in bits: 0 where the answers do not depend on the truth. */
export function bitsOf(trials: readonly Trial[]): number {
  const share = (key: (trial: Trial) => string) => {
    const counts = new Map<string, number>();
    for (const trial of trials) counts.set(key(trial), (counts.get(key(trial)) ?? 0) + 1);
    return counts;
  };
  const [truths, answers] = [share(({ truth }) => truth), share(({ answer }) => answer)];
  const joint = Map.groupBy(trials, ({ truth, answer }) => JSON.stringify([truth, answer]));
  let bits = 0;
  for (const [key, same] of joint) {
    const [truth, answer] = JSON.parse(key) as [string, string];
    const expected = ((truths.get(truth) ?? 0) * (answers.get(answer) ?? 0)) / trials.length;
    bits += (same.length / trials.length) * Math.log2(same.length / expected);
  }
  return bits;
}

export function reportOf(channel: string, trials: readonly Trial[]): ChannelReport {
  const answers = new Set(trials.map(({ answer }) => answer)).size;
  return { channel, requests: trials.length, answers, bits: bitsOf(trials) };
}

/** The report as a table: channel, requests, answers that differ, bits recovered. */
export function printed(reports: readonly ChannelReport[]): string {
  const width = Math.max(...reports.map(({ channel }) => channel.length));
  const line = (columns: readonly [string, string, string, string]) =>
    `${columns[0].padEnd(width)} ${columns[1].padStart(8)} ${columns[2].padStart(8)} ${columns[3].padStart(6)}`;
  const rows = reports.map(({ channel, requests, answers, bits }) =>
    line([channel, String(requests), String(answers), bits.toFixed(3)]),
  );
  return [line(['channel', 'requests', 'answers', 'bits']), ...rows].join('\n');
}
