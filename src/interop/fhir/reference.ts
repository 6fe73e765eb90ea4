import type { Element } from './element.js';
import { rejection } from './element.js';
import { identifierKey, resourceKey, type Identifier } from './identifier.js';
import type { TakenType } from './resource-types.js';

/** What the references of a bundle may point at: a resource that is taken, by all of its names. */
export interface Referable {
  readonly type: TakenType;
  readonly place: string;
  /** What its source system knows it by. */
  readonly key: string;
  readonly fullUrl: string | null;
  readonly resourceId: string | null;
  readonly identifiers: readonly Identifier[];
}

/** A reference as the source key of what it means. */
export interface Resolved {
  readonly type: string;
  readonly key: string;
}

const CONDITIONAL = /^([A-Z][A-Za-z]+)\?identifier=([^&]+)$/;
const RELATIVE = /^(?:.*\/)?([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/;
const URN = /^urn:(?:uuid|oid):(.+)$/;

/** The references of one bundle (FHIR R4, 3.1.0.3 transaction and 2.36.4 resolving in bundles). */
export class References {
  private readonly byName = new Map<string, Referable>();
  /** Null where entries share an identifier: only a reference by it is wrong then, not the entries. */
  private readonly byIdentifier = new Map<string, Referable | null>();

  /** Two resources of one full URL or id reject the bundle, unless they are the same one said twice. */
  add(resource: Referable): void {
    const { fullUrl, resourceId, type } = resource;
    for (const name of [fullUrl, resourceId === null ? null : `${type}/${resourceId}`]) {
      if (name === null) continue;
      const other = this.byName.get(name);
      if (other !== undefined && !isSame(other, resource)) {
        throw rejection(resource.place, 'has a full URL or id that another entry of the bundle has too');
      }
      this.byName.set(name, resource);
    }
    for (const identifier of resource.identifiers) {
      const name = conditionalName(type, identifierKey(identifier));
      const other = this.byIdentifier.get(name);
      this.byIdentifier.set(name, other === undefined || (other && isSame(other, resource)) ? resource : null);
    }
  }

  /**
   * What a Reference means; null for one that is empty or contained. Where the reference itself does not say of what type
   * it is, `expected` is believed. What is not in the bundle may have been imported before under its id or identifier.
   */
  resolve(reference: Element | null, expected: TakenType): Resolved | null {
    if (reference === null) return null;
    const text = reference.line('reference');
    if (text === null) return this.logical(reference, expected);
    if (text.startsWith('#')) return null;
    const inside = this.byName.get(text);
    if (inside !== undefined) return inside;
    const conditional = CONDITIONAL.exec(text);
    if (conditional !== null)
      return this.conditional(reference, conditional[1] ?? '', decoded(reference, conditional[2] ?? ''));
    const named = RELATIVE.exec(text);
    if (named !== null) return this.named(named[1] ?? '', named[2] ?? '', /^https?:/.test(text));
    const urn = URN.exec(text);
    if (urn !== null) return { type: reference.text('type') ?? expected, key: resourceKey(urn[1] ?? '') };
    throw reference.refuse('reference', 'is not a reference of FHIR');
  }

  private named(type: string, id: string, absolute: boolean): Resolved | null {
    const inside = absolute ? undefined : this.byName.get(`${type}/${id}`);
    return inside === undefined ? { type, key: resourceKey(id) } : inside;
  }

  private conditional(reference: Element, type: string, key: string): Resolved {
    const inside = this.byIdentifier.get(conditionalName(type, key));
    if (inside === null) throw reference.refuse('reference', 'means more than one entry of the bundle');
    return inside === undefined ? { type, key } : inside;
  }

  /** A reference by identifier alone. */
  private logical(reference: Element, expected: TakenType): Resolved | null {
    const identifier = reference.child('identifier');
    const [system, value] = [identifier?.line('system') ?? null, identifier?.line('value') ?? null];
    if (system === null || value === null) return null;
    return this.conditional(reference, reference.text('type') ?? expected, identifierKey({ system, value }));
  }
}

function isSame(a: Referable, b: Referable): boolean {
  return a.type === b.type && a.key === b.key;
}

function conditionalName(type: string, key: string): string {
  return `${type}?identifier=${key}`;
}

function decoded(reference: Element, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw reference.refuse('reference', 'is not encoded as a URL is');
  }
}
