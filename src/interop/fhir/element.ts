import { Failure } from '../../kernel/failure.js';

/** No text that is taken from a bundle is longer, whatever its field allows. */
const LONGEST_TEXT = 4_000;

/** A bundle that is not taken, or the part of it that is the reason. `place` and `problem` never hold a value of the bundle. */
export function rejection(place: string, problem: string): Failure {
  return new Failure(
    'BAD_USER_INPUT',
    `${place}: ${problem}.`,
    'Correct the bundle where it comes from and import it again.',
  );
}

/**
 * A JSON object of a FHIR resource. Nothing in it is trusted: every member is checked for its kind when it is read, and a
 * wrong one rejects the bundle with the place and the path of the member, never with what stood there.
 */
export class Element {
  private constructor(
    private readonly members: Readonly<Record<string, unknown>>,
    readonly place: string,
    private readonly path: string,
  ) {}

  /** `place` names the resource in its bundle, such as `entry 12 (Encounter)`. */
  static of(value: unknown, place: string, path = ''): Element {
    if (isObject(value)) return new Element(value, place, path === '' ? '' : `${path}.`);
    throw rejection(place, path === '' ? 'not a JSON object' : `${path} is not an object`);
  }

  /** The same object under a better name. */
  at(place: string): Element {
    return new Element(this.members, place, '');
  }

  /** Null for an absent, an empty and a blank text. */
  text(name: string): string | null {
    const value = this.member(name);
    return value === null ? null : this.checked(name, value) || null;
  }

  /** A text on one line: runs of white space are one space. */
  line(name: string): string | null {
    return this.text(name)?.replace(/\s+/gu, ' ') ?? null;
  }

  /** Absent and null items are left out: FHIR allows null where an item has only extensions. */
  texts(name: string): string[] {
    return this.items(name)
      .filter((item) => item !== null)
      .map((item) => this.checked(name, item).replace(/\s+/gu, ' '))
      .filter((text) => text !== '');
  }

  flag(name: string): boolean | null {
    const value = this.member(name);
    if (value === null || typeof value === 'boolean') return value;
    throw this.refuse(name, 'is neither true nor false');
  }

  /** A positive whole number. */
  count(name: string): number | null {
    const value = this.member(name);
    if (value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value > 0)) return value;
    throw this.refuse(name, 'is not a positive whole number');
  }

  child(name: string): Element | null {
    const value = this.member(name);
    return value === null ? null : Element.of(value, this.place, this.path + name);
  }

  children(name: string): Element[] {
    return this.items(name).map((item, index) => Element.of(item, this.place, `${this.path}${name} ${index + 1}`));
  }

  has(name: string): boolean {
    return this.member(name) !== null;
  }

  refuse(name: string, problem: string): Failure {
    return rejection(this.place, `${this.path}${name} ${problem}`);
  }

  private member(name: string): unknown {
    return Object.hasOwn(this.members, name) ? (this.members[name] ?? null) : null;
  }

  private items(name: string): readonly unknown[] {
    const value = this.member(name);
    if (value === null) return [];
    if (Array.isArray(value)) return value;
    throw this.refuse(name, 'is not a list');
  }

  private checked(name: string, value: unknown): string {
    if (typeof value !== 'string') throw this.refuse(name, 'is not a text');
    if (value.length > LONGEST_TEXT) throw this.refuse(name, `is longer than ${LONGEST_TEXT} characters`);
    if (/[\p{Cc}--[\n\r\t]]/v.test(value)) throw this.refuse(name, 'holds a control character');
    if (!value.isWellFormed()) throw this.refuse(name, 'holds half a character');
    return value.normalize('NFC').trim();
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
