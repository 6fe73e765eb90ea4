/** The part of a V8 CPU profile that is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples?: readonly number[];
  readonly timeDeltas?: readonly number[];
}

export interface Share {
  readonly name: string;
  /** Share of the whole time, 0 to 1. */
  readonly share: number;
}

export interface ProfileSummary {
  readonly categories: readonly Share[];
  /** Functions by their own time. */
  readonly functions: readonly Share[];
}

/** The first that matches the file of a function names its category. */
const CATEGORIES: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [/node:internal\/crypto/, () => 'crypto'],
  [/node:internal\/(?:streams|http|net|stream_base)|node:(?:_http|net)/, () => 'http and sockets'],
  [/node_modules\/(?:pg|pg-pool|pg-protocol|pg-types|postgres-[a-z]+)\//, () => 'pg'],
  [/node_modules\/graphql\//, () => 'graphql'],
  [/node_modules\/@(?:apollo|as-integrations)\//, () => 'apollo'],
  [
    /node_modules\/(?:fastify|find-my-way|light-my-request|avvio|@fastify|fast-[a-z-]+|secure-json-parse)\//,
    () => 'fastify',
  ],
  [/node_modules\/(?:@nestjs|rxjs)\//, () => 'nest'],
  [/node_modules\/(?:@mikro-orm|kysely)\//, () => 'mikro-orm'],
  [/node_modules\/((?:@[^/]+\/)?[^/]+)\//, (match) => match[1] ?? ''],
  [/dist\/src\/([a-z]+)\//, (match) => `src/${match[1] ?? ''}`],
  [/dist\/bench\/peer\//, () => 'bench/peer'],
];
const OWN = new Map([
  ['(idle)', 'waiting'],
  ['(garbage collector)', 'garbage collection'],
  ['(program)', 'native code'],
]);

/**
 * Self time by category and by function. What belongs to no file (JSON, Buffer, Map, native functions) counts for whoever
 * called it; so does time in Node's own modules, but for
 * cryptography and sockets. The start and end of the profile itself are left out.
 */
export function summarise(profile: CpuProfile): ProfileSummary {
  const measuring = new Set(
    profile.nodes.filter((node) => node.callFrame.url === 'node:inspector').map((node) => node.id),
  );
  const selfTime = new Map<number, number>();
  let total = 0;
  profile.samples?.forEach((id, index) => {
    const delta = measuring.has(id) ? 0 : Math.max(0, profile.timeDeltas?.[index] ?? 0);
    selfTime.set(id, (selfTime.get(id) ?? 0) + delta);
    total += delta;
  });
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)),
  );
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const known = new Map<number, string>();
  const categoryOf = (id: number | undefined): string => {
    const node = id === undefined ? undefined : byId.get(id);
    if (id === undefined || node === undefined) return 'node';
    let category = known.get(id);
    if (category === undefined) {
      category = OWN.get(node.callFrame.functionName) ?? ofFile(node.callFrame.url) ?? categoryOf(parents.get(id));
      known.set(id, category);
    }
    return category;
  };
  const categories = new Map<string, number>();
  const functions = new Map<string, number>();
  for (const [id, time] of selfTime) {
    const { functionName, url, lineNumber } = byId.get(id)?.callFrame ?? { functionName: '', url: '', lineNumber: -1 };
    add(categories, categoryOf(id), time);
    const place = url === '' ? `[${categoryOf(id)}]` : `${shortened(url)}:${lineNumber + 1}`;
    if (!OWN.has(functionName)) add(functions, `${functionName || '(anonymous)'} ${place}`, time);
  }
  return { categories: shares(categories, total, 0.005), functions: shares(functions, total, 0.004).slice(0, 40) };
}

function ofFile(url: string): string | null {
  for (const [pattern, name] of CATEGORIES) {
    const match = pattern.exec(url);
    if (match !== null) return name(match);
  }
  return null;
}

function shortened(url: string): string {
  return url.replace(/^file:\/\/.*?\/(?=(?:dist|node_modules)\/)/, '');
}

function add(sums: Map<string, number>, name: string, time: number): void {
  sums.set(name, (sums.get(name) ?? 0) + time);
}

function shares(sums: ReadonlyMap<string, number>, total: number, least: number): Share[] {
  return [...sums]
    .map(([name, time]) => ({ name, share: total === 0 ? 0 : time / total }))
    .filter(({ share }) => share >= least)
    .sort((one, other) => other.share - one.share);
}
