import type { Role } from '../kernel/actor.js';
import { stateText, type MatrixCell, type MatrixQuery } from '../policy/role-matrix.js';
import type { FieldClass } from '../policy/vocabulary.js';
import { demoPatients } from './people.js';

interface FieldAccess {
  readonly field: string;
  readonly state: string;
  readonly mask: string | null;
}
interface Governed {
  readonly fieldAccess: readonly FieldAccess[];
}
interface Children {
  readonly edges: readonly { readonly node: Governed }[];
}
interface PatientAnswer extends Governed {
  readonly visits: Children | null;
  readonly diagnoses: Children | null;
  readonly consents: Children | null;
}

/** Sends a document as the account of a role; the answer's `data`, null where there is none. */
export type AskAs = (
  role: Role,
  purpose: string,
  document: string,
  variables: Readonly<Record<string, unknown>>,
) => Promise<Readonly<Record<string, unknown>> | null>;

export interface CellResult {
  readonly cell: MatrixCell;
  /** How many fields of how many rows were compared. */
  readonly compared: number;
  /** What is not as it is meant to be, in words; empty where the cell is equal. */
  readonly differences: readonly string[];
}

/** A patient of the demo organisation as the matrix knows one. */
interface Person {
  readonly key: string;
  readonly id: string;
  readonly today: boolean;
  readonly inCompartment: boolean;
  seenBy(role: Role, rows: MatrixCell['rows']): boolean;
}

const ACCESS = 'fieldAccess { field state mask }';
const CHILDREN = `(first: 20) { edges { node { ${ACCESS} } } }`;
const PATIENT = `query($id: ID!) { patient(id: $id) { ${ACCESS} visits${CHILDREN} diagnoses${CHILDREN} consents${CHILDREN} } }`;
const QUERIES: Readonly<Record<MatrixQuery, string>> = {
  ledger: 'query { ledgerEntries(first: 1) { edges { node { index } } } }',
  counts: 'query { patientCounts(by: []) { total } }',
};
const CHILD_FIELDS = { Visit: 'visits', Diagnosis: 'diagnoses', Consent: 'consents' } as const;

/**
 * Asks a running server that holds the demo organisation for every cell that can be asked, over its API, and compares. The
 * consent of a patient to a purpose must have been recorded before for those named in `consented`.
 * @param patients ids by key (PT1 …) of one tenant
 */
export async function askRoleMatrix(
  cells: readonly MatrixCell[],
  ask: AskAs,
  tenant: string,
  patients: Readonly<Record<string, string>>,
  classOf: (type: string, field: string) => FieldClass,
  consented: readonly string[] = [],
): Promise<CellResult[]> {
  const people = demoPatients(tenant).map((patient) => personOf(patient, patients, consented));
  const results: CellResult[] = [];
  for (const [, column] of Map.groupBy(cells, ({ role, purpose }) => `${role} ${purpose}`)) {
    const [{ role, purpose }] = column as [MatrixCell];
    const answers = new Map<Person, PatientAnswer | null>();
    for (const person of people) {
      const data = await ask(role, purpose, PATIENT, { id: person.id });
      answers.set(person, (data?.['patient'] ?? null) as PatientAnswer | null);
    }
    for (const cell of column) {
      const result = new Comparison(cell, classOf);
      if (cell.query !== null && cell.waits === null) {
        const data = await ask(role, purpose, QUERIES[cell.query], {});
        result.query(Object.values(data ?? {}).some((answer) => answer !== null));
      } else for (const [person, answer] of answers) result.patient(person, answer);
      results.push({ cell, compared: result.compared, differences: result.differences });
    }
  }
  return results;
}

function personOf(
  { key, onWard, visitsToday, diagnosis }: ReturnType<typeof demoPatients>[number],
  patients: Readonly<Record<string, string>>,
  consented: readonly string[],
): Person {
  const own = (role: Role) => (role === 'call_center_agent' ? key === 'PT1' : onWard);
  const represented = (role: Role) => key === (role === 'patient' ? 'PT1' : 'PT2');
  return {
    key,
    id: String(patients[key]),
    today: visitsToday,
    inCompartment: diagnosis !== undefined && diagnosis.code !== 'E11.9',
    seenBy: (role, rows) =>
      rows === 'all' ||
      (rows === 'own' && own(role)) ||
      (rows === 'represented' && represented(role)) ||
      (rows === 'consented' && consented.includes(key)),
  };
}

/** One cell against what a server answers. */
class Comparison {
  compared = 0;
  readonly differences: string[] = [];

  constructor(
    private readonly cell: MatrixCell,
    private readonly classOf: (type: string, field: string) => FieldClass,
  ) {}

  query(answered: boolean): void {
    this.compare(
      'query',
      this.cell.state('', false) === 'hidden' ? 'refused' : 'answered',
      answered ? 'answered' : 'refused',
    );
  }

  patient(person: Person, answer: PatientAnswer | null): void {
    const { role, rows, fields, waits } = this.cell;
    if (waits !== null) return;
    const seen = person.seenBy(role, rows);
    this.compare(person.key, seen ? 'a row' : 'no row', answer === null ? 'no row' : 'a row');
    if (!seen || answer === null) return;
    for (const [type, names] of fields) {
      const nodes = type === 'Patient' ? [answer] : nodesOf(answer[CHILD_FIELDS[type as keyof typeof CHILD_FIELDS]]);
      if (this.cell.compartment) {
        if (person.inCompartment)
          this.compare(`${person.key} ${type}`, 'no row', nodes.length === 0 ? 'no row' : 'a row');
        continue;
      }
      for (const node of nodes) this.row(person, type, names, node);
    }
  }

  private row(person: Person, type: string, names: readonly string[], { fieldAccess }: Governed): void {
    const states = new Map(
      fieldAccess.map(({ field, state, mask }) => [field, mask === null ? state : `${state} ${mask}`]),
    );
    for (const field of names) {
      const expected = stateText(this.cell.state(field, person.today), this.classOf(type, field));
      this.compare(`${person.key} ${type}.${field}`, expected, states.get(field) ?? 'absent');
    }
  }

  private compare(what: string, expected: string, actual: string): void {
    this.compared += 1;
    if (expected !== actual) this.differences.push(`${what} is ${actual}, not ${expected}`);
  }
}

function nodesOf(children: Children | null): readonly Governed[] {
  return children?.edges.map(({ node }) => node) ?? [];
}
