import type { Role } from '../../src/kernel/actor.js';
import type { Loose, TestSystem } from './system.js';

export const ATTACH = `mutation($input: AttachFileInput!) { attachFile(input: $input) {
  id version status category title contentType size content uploadUrl patientId } }`;

export interface FileAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The code of the only error; `none` where there is none. */
  readonly code: string;
}
export interface FileOptions {
  readonly purpose?: string | null;
  readonly token?: string | null;
  readonly tenant?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}
export type Body = Buffer | ReadableStream<Uint8Array>;

/** What a caller of the file routes needs of a system. */
type Served = Pick<TestSystem, 'endpoint' | 'token'>;

/** The headers of the role's account; `purpose` and `token` may be replaced, or left out with null. */
export async function headersOf(
  system: Served,
  role: Role,
  purpose: string,
  options: FileOptions = {},
): Promise<Record<string, string>> {
  const token = options.token === undefined ? await system.token(role, options.tenant) : options.token;
  const stated = options.purpose === undefined ? purpose : options.purpose;
  return {
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(stated === null ? {} : { 'x-purpose-of-use': stated }),
    ...options.headers,
  };
}

export const PURPOSES: Partial<Record<Role, string>> = {
  physician: 'TREAT',
  nurse: 'TREAT',
  front_desk: 'PATADMIN',
  patient: 'PATRQT',
  guardian: 'PATRQT',
};

/** Sends (with a body) or fetches the content at this path as the role's account. */
export async function content(
  system: Served,
  role: Role,
  path: string,
  body: Body | null,
  options: FileOptions = {},
): Promise<FileAnswer> {
  const response = await fetch(system.endpoint.replace('/graphql', path), {
    method: body === null ? 'GET' : 'PUT',
    headers: await headersOf(system, role, PURPOSES[role] ?? 'TREAT', options),
    ...(body === null ? {} : { body: body as never, duplex: 'half' }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  } as RequestInit);
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes, code: codeIn(response, bytes) };
}

function codeIn(response: Response, bytes: Buffer): string {
  if (response.ok) return 'none';
  const { errors } = JSON.parse(bytes.toString()) as { errors: Loose[] };
  return errors.map((error) => String(error['extensions'].code)).join(' ');
}

/** Announces a file as the role's account and gives its id and path. */
export async function announce(
  system: TestSystem,
  role: Role,
  patientId: string | undefined,
  file: { contentType?: string; size: number; title?: string; category?: string },
): Promise<{ id: string; path: string }> {
  const input = { patientId, title: 'Findings', contentType: 'text/plain', ...file };
  const { data, errors } = await system.ask(role, ATTACH, { variables: { input } });
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return { id: data['attachFile'].id, path: data['attachFile'].uploadUrl };
}

/** Announces and sends a text. */
export async function attach(system: TestSystem, role: Role, patientId: string | undefined, text: Buffer) {
  const made = await announce(system, role, patientId, { size: text.length });
  const sent = await content(system, role, made.path, text);
  if (sent.status !== 200) throw new Error(`${sent.status} ${sent.bytes.toString()}`);
  return made;
}
