import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

/** Clear values of the demo patients that must lie nowhere. */
const CANARIES = [
  'CANARY-9f3c',
  '13812345678',
  '11010519491231002X',
  '王小明',
  'zhangsan@example.com',
  'YB0012345678',
  '中关村大街1号',
  '北京市海淀区中关村大街1号',
];
/** Other spellings under which a value could have been hashed or kept. */
const SPELLINGS = [...CANARIES, '+8613812345678', '8613812345678', '11010519491231002x', 'canary-9f3c', '1949-12-31'];
const DIGESTS = ['md5', 'sha1', 'sha256', 'sha512', 'sm3'];

type Needle = readonly [string, Buffer];
/** The canaries themselves, in several encodings: for files so large that the digests would take too long. */
export const CLEAR: readonly Needle[] = CANARIES.flatMap((text): Needle[] => [
  [text, Buffer.from(text)],
  [`${text} in UTF-16`, Buffer.from(text, 'utf16le')],
  [`${text} in base64`, Buffer.from(Buffer.from(text).toString('base64').slice(0, -4))],
  [`${text} in hexadecimal`, Buffer.from(Buffer.from(text).toString('hex'))],
]);
/** What must be found nowhere: the canaries in several encodings, and their plain digests. */
const needles: readonly Needle[] = [
  ...CLEAR,
  ...SPELLINGS.flatMap((text) =>
    DIGESTS.flatMap((algorithm): Needle[] => {
      const digest = createHash(algorithm).update(text).digest();
      return [
        // A truncated digest is a digest: eight bytes of it are looked for.
        [`${algorithm} of ${text}`, digest.subarray(0, 8)],
        [`${algorithm} of ${text} in hexadecimal`, Buffer.from(digest.toString('hex').slice(0, 16))],
        [`${algorithm} of ${text} in base64`, Buffer.from(digest.toString('base64').slice(0, 10))],
      ];
    }),
  ),
];

/** Names of the needles that stand in these bytes. */
export function found(haystack: Buffer, among = needles): string[] {
  return among.filter(([, needle]) => haystack.includes(needle)).map(([name]) => name);
}

/** Every file below a directory; none where there is no directory. */
export function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

/** Looks through a file in pieces that overlap by the longest needle. A file that the server removed meanwhile holds nothing. */
export async function foundInFile(file: string, among = needles): Promise<string[]> {
  try {
    if (statSync(file).size === 0) return [];
    let rest: Buffer = Buffer.alloc(0);
    const names = new Set<string>();
    for await (const chunk of createReadStream(file, { highWaterMark: 4 * 1024 * 1024 })) {
      const piece = Buffer.concat([rest, chunk as Buffer]);
      for (const name of found(piece, among)) names.add(name);
      rest = piece.subarray(-128);
    }
    return [...names];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
