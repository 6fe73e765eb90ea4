import { ROLES, type Role } from '../kernel/actor.js';
import { LEVELS, MASKS, type AttributeDeclaration, type Level, type MaskName } from '../kernel/attribute.js';
import type { AttributeRegistry, NounDeclaration } from '../kernel/attribute.js';
import type { PolicyAction, Volume } from './decision.js';
import type { DocumentPath } from './document.js';
import { Network } from './environment.js';
import { insteadOf } from './nearest.js';
import { identifier } from './sql.js';

type Refuse = (at: DocumentPath, message: string) => void;

/** The class of a field that is in force: the declared one, tightened by the classification file. */
export interface FieldClass {
  readonly level: Level;
  readonly mask: MaskName;
  /** True where the field may be neither filtered nor sorted by, as if it were sealed. */
  readonly unqueryable: boolean;
}

export interface Vocabulary {
  readonly purposes: ReadonlySet<string>;
  readonly purposesOf: ReadonlyMap<Role, readonly string[]>;
  /** Addresses that rules may name. */
  readonly networks: ReadonlyMap<string, Network>;
  /** How many patients an account of each role may see; null for machines. */
  readonly volumeOf: ReadonlyMap<Role, Volume | null>;
  readonly emergencyAccess: EmergencyLimits;
}

/** What bounds an access in an emergency. */
export interface EmergencyLimits {
  /** How long it is open. */
  readonly hours: number;
  /** Within how many hours of its beginning it is to be reviewed. */
  readonly reviewHours: number;
  /** How many patients one account opens in an hour. */
  readonly patientsPerHour: number;
}

const STANDARD_EMERGENCY: EmergencyLimits = { hours: 4, reviewHours: 72, patientsPerHour: 5 };

interface VocabularyDocument {
  readonly purposes: Readonly<Record<string, unknown>>;
  readonly roles: Readonly<Record<string, readonly string[]>>;
  readonly networks?: Readonly<Record<string, readonly string[]>>;
  readonly volume?: VolumeDocument;
  readonly emergencyAccess?: EmergencyLimits;
}
interface VolumeDocument extends Volume {
  readonly roles?: Readonly<Record<string, Volume>>;
  readonly machines?: readonly string[];
}

/** Where the vocabulary says nothing, machines count too. */
const STANDARD_VOLUME: VolumeDocument = { patientsPerHour: 500, patientsPerDay: 2_000 };

/** How much a mask withholds. Masks of one rank are made for different kinds of values: neither is the stronger one. */
const STRENGTH: Readonly<Record<MaskName, number>> = {
  M_SAME: 0,
  M_NAME: 1,
  M_PHONE: 1,
  M_EMAIL: 1,
  M_ADDR: 1,
  M_DOB: 1,
  M_ID4: 1,
  M_MRN4: 1,
  M_DX: 1,
  M_TEXT: 2,
  M_NULL: 3,
};

export function maskStrength(mask: MaskName): number {
  return STRENGTH[mask];
}

export function isMask(name: string): name is MaskName {
  return (MASKS as readonly string[]).includes(name);
}

/** True where `mask` withholds as much as `than` or more. */
export function isAtLeast(mask: MaskName, than: MaskName): boolean {
  return mask === than || STRENGTH[mask] > STRENGTH[than];
}

export function readVocabulary(value: unknown, refuse: Refuse): Vocabulary {
  const { purposes, roles, networks = {}, volume = STANDARD_VOLUME } = value as VocabularyDocument;
  for (const [role, allowed] of Object.entries(roles)) {
    if (!isRole(role)) refuse(['roles', role], unknownRole(role));
    allowed.forEach((purpose, index) => {
      if (Object.hasOwn(purposes, purpose)) return;
      const instead = insteadOf(purpose, Object.keys(purposes));
      refuse(['roles', role, index], `Unknown purpose "${purpose}".${instead}`);
    });
  }
  for (const role of ROLES) {
    if (!Object.hasOwn(roles, role)) refuse(['roles'], `The role "${role}" has no purposes.`);
  }
  return {
    purposes: new Set(Object.keys(purposes)),
    purposesOf: new Map(ROLES.map((role) => [role, Object.freeze(roles[role] ?? [])])),
    networks: new Map(
      Object.entries(networks).map(([name, ranges]) => [name, new Network(ranges, ['networks', name], refuse)]),
    ),
    volumeOf: readVolume(volume, refuse),
    emergencyAccess: (value as VocabularyDocument).emergencyAccess ?? STANDARD_EMERGENCY,
  };
}

function readVolume(document: VolumeDocument, refuse: Refuse): Vocabulary['volumeOf'] {
  const { patientsPerHour, patientsPerDay, roles = {}, machines = [] } = document;
  const checked = ({ patientsPerHour: hour, patientsPerDay: day }: Volume, at: DocumentPath) => {
    if (hour > day) refuse([...at, 'patientsPerHour'], `More in an hour than in a day: write ${day} at most.`);
  };
  checked(document, ['volume']);
  for (const [role, volume] of Object.entries(roles)) {
    checked(volume, ['volume', 'roles', role]);
    if (!isRole(role)) refuse(['volume', 'roles', role], unknownRole(role));
  }
  machines.forEach((role, index) => {
    if (!isRole(role)) refuse(['volume', 'machines', index], unknownRole(role));
    else if (Object.hasOwn(roles, role))
      refuse(['volume', 'roles', role], `"${role}" is one of the machines, which are not counted.`);
  });
  const standard = { patientsPerHour, patientsPerDay };
  return new Map(ROLES.map((role) => [role, machines.includes(role) ? null : (roles[role] ?? standard)]));
}

function isRole(name: string): name is Role {
  return (ROLES as readonly string[]).includes(name);
}

function unknownRole(name: string): string {
  return `Unknown role "${name}".${insteadOf(name, ROLES)}`;
}

/** The classes in force: those of the registry, tightened. Loosening one is refused. */
export function readClassification(
  value: unknown,
  registry: AttributeRegistry,
  refuse: Refuse,
): Map<string, Map<string, FieldClass>> {
  const classes = new Map(registry.all().map((noun) => [noun.type, declaredClasses(noun)]));
  const { fields } = value as { fields: Record<string, { level?: string; mask?: string; sealed?: true }> };
  for (const [name, wanted] of Object.entries(fields)) {
    const at = ['fields', name];
    const [type = '', field = ''] = name.split('.');
    const declared = classes.get(type)?.get(field);
    if (declared === undefined) {
      const fields = classes.get(type)?.keys() ?? [];
      const instead = classes.has(type) ? insteadOf(field, fields) : insteadOf(type, classes.keys());
      refuse(at, `Unknown field ${name}.${instead}`);
      continue;
    }
    const level = (wanted.level ?? declared.level) as Level;
    const mask = wanted.mask ?? declared.mask;
    if (!LEVELS.includes(level)) refuse([...at, 'level'], `Unknown level ${level}.${insteadOf(level, LEVELS)}`);
    else if (LEVELS.indexOf(level) < LEVELS.indexOf(declared.level)) {
      refuse([...at, 'level'], `${name} is ${declared.level}: a class is never loosened.`);
    }
    if (!isMask(mask)) refuse([...at, 'mask'], `Unknown mask ${mask}.${insteadOf(mask, MASKS)}`);
    else if (!isAtLeast(mask, declared.mask)) {
      refuse(
        [...at, 'mask'],
        `${mask} is weaker than ${declared.mask}, the mask of ${name}: a class is never loosened.`,
      );
    }
    classes.get(type)?.set(field, { level, mask: mask as MaskName, unqueryable: wanted.sealed === true });
  }
  return classes;
}

function declaredClasses(noun: NounDeclaration): Map<string, FieldClass> {
  const classOf = ({ level, mask }: AttributeDeclaration): FieldClass => ({ level, mask, unqueryable: false });
  return new Map([...noun.attributes.values()].map((attribute) => [attribute.field, classOf(attribute)]));
}

export interface OperationGrant {
  readonly action: PolicyAction;
  readonly type: string;
}

export function readOperations(
  value: unknown,
  registry: AttributeRegistry,
  refuse: Refuse,
): Map<string, OperationGrant> {
  const { operations } = value as { operations: Record<string, OperationGrant> };
  const types = new Set(registry.all().map((noun) => noun.type));
  for (const [name, { type }] of Object.entries(operations)) {
    if (!types.has(type)) refuse(['operations', name, 'type'], `Unknown type ${type}.${insteadOf(type, types)}`);
  }
  return new Map(Object.entries(operations));
}

/** What the policy needs of the registry itself. Returns what is wrong with it, in words. */
export function registryFaults(registry: AttributeRegistry): { type: string; message: string }[] {
  return registry.all().flatMap((noun) => {
    const faults: string[] = [];
    const tenant = noun.facts.find((fact) => fact.name === 'tenant');
    if (tenant?.source !== 'column' || tenant.kind !== 'text') faults.push('The fact "tenant" must be a text column.');
    for (const fact of noun.facts) {
      const names =
        fact.source === 'today'
          ? [fact.table, fact.foreignKey, fact.column, fact.only.column]
          : fact.source === 'granted'
            ? [fact.patient, fact.column, fact.visit ?? fact.column]
            : [fact.column];
      if (!names.every(isIdentifier))
        faults.push(`The fact "${fact.name}" names an SQL identifier outside the closed pattern.`);
    }
    for (const attribute of noun.attributes.values()) {
      if (hasCycle(noun, attribute.field, new Set()))
        faults.push(`${attribute.field} is derived from itself or from an unknown field.`);
    }
    return faults.map((message) => ({ type: noun.type, message }));
  });
}

function isIdentifier(name: string): boolean {
  try {
    return identifier(name) === name;
  } catch {
    return false;
  }
}

function hasCycle(noun: NounDeclaration, field: string, above: ReadonlySet<string>): boolean {
  const attribute = noun.attributes.get(field);
  if (attribute === undefined || above.has(field)) return true;
  return attribute.derivedFrom.some((source) => hasCycle(noun, source, new Set([...above, field])));
}
