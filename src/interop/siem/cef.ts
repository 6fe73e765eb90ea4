import { rowsOf, subjectsOf, weightOf, type SecurityEvent, type Weight } from './event.js';

const SEVERITY: Readonly<Record<Weight, number>> = { routine: 2, notable: 5, serious: 8 };
const LONGEST_LIST = 1_023;
/** In the place of the product's version: what a parser depends on is the form of the record. */
const RECORD_VERSION = '1';

/**
 * An event in ArcSight's Common Event Format, version 0: a header of seven parts behind `CEF:0`, then `key=value` pairs of
 * the standard dictionary; what that has no key for stands in labelled custom strings. One line, whatever the values are.
 */
export function toCef(event: SecurityEvent): string {
  const header = ['Custodia', 'Custodia', RECORD_VERSION, `${event.kind}:${event.outcome}`, event.operation];
  const subjects = subjectsOf(event);
  const pairs: readonly (readonly [string, string | number | null])[] = [
    ['rt', Date.parse(event.time)],
    ['externalId', `${event.log}/${event.index}`],
    ['deviceExternalId', event.writer],
    ['act', event.operation],
    ['outcome', event.outcome],
    ['reason', event.code],
    ['suid', event.actor],
    ['spriv', event.role],
    ['requestContext', event.request],
    ['cnt', rowsOf(event)],
    ...labelled(1, 'purpose', event.purpose),
    ...labelled(2, 'tenant', event.log),
    ...labelled(3, 'session', event.session),
    ...labelled(4, 'recordSha256', event.recordHash),
    ...labelled(5, 'rules', clipped(event.rules)),
    ...labelled(6, 'subjects', clipped(subjects)),
    ['flexString1', event.decision ?? null],
    ['flexString1Label', event.decision === undefined ? null : 'decision'],
    ['flexString2', event.acr ?? null],
    ['flexString2Label', event.acr === undefined ? null : 'acr'],
    ['cn1', subjects.length],
    ['cn1Label', 'subjectCount'],
  ];
  const extension = pairs.flatMap(([key, value]) => (value === null ? [] : [`${key}=${escapeValue(String(value))}`]));
  return `CEF:0|${header.map(escapeHeader).join('|')}|${SEVERITY[weightOf(event)]}|${extension.join(' ')}`;
}

function labelled(place: number, label: string, value: string | null): [string, string | null][] {
  return [
    [`cs${place}`, value],
    [`cs${place}Label`, value === null ? null : label],
  ];
}

/** As many whole members as fit; a list that is cut ends in an ellipsis, and its full length stands beside it. */
function clipped(members: readonly string[]): string | null {
  let text = '';
  for (const member of members) {
    const next = text === '' ? member : `${text},${member}`;
    if (next.length > LONGEST_LIST - 4) return `${text},...`;
    text = next;
  }
  return text === '' ? null : text;
}

function escapeHeader(text: string): string {
  return text.replace(/[\\|]/g, '\\$&').replace(/[\r\n]/g, ' ');
}

function escapeValue(text: string): string {
  return text.replace(/[\\=]/g, '\\$&').replace(/\n/g, '\\n').replace(/\r/g, '\\r');
}
