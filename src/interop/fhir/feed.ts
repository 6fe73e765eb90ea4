import { assignCareTeam } from '../../domain/care-team/assign-care-team.js';
import { listAssignments, listCareTeams } from '../../domain/care-team/list-care-teams.js';
import type { Actor } from '../../kernel/actor.js';
import { Failure } from '../../kernel/failure.js';
import { newId } from '../../kernel/identifier.js';
import type { Answering } from '../../operation/answering.js';
import { Document } from '../../operation/document.js';
import type { OperationDefinition } from '../../operation/operation.js';
import type { Operations } from '../../operation/run.js';
import { selectFields, type Selection } from '../../operation/selection.js';
import { importBundle, type ImportedBundle } from './import-bundle.js';

const PURPOSE = 'PATADMIN';
/** Two imports that bring the same practitioner at once: one of them finds the row the next time. */
const ATTEMPTS = 3;
const NOTHING = selectFields();

/** A source of bundles: one integrator, one tenant. Every step goes through the door with a document of its own. */
export class Feed {
  constructor(
    private readonly operations: Operations,
    private readonly answering: Answering,
    private readonly actor: Actor,
  ) {}

  /** The care team of this name; null and the names there are when there is none. */
  async careTeam(name: string): Promise<{ id: string | null; names: string[] }> {
    const named = { first: 1, filter: { name: { eq: name } } };
    const [found] = (await this.run(listCareTeams, named, selectFields('name'))).edges;
    if (found !== undefined) return { id: found.node.id, names: [] };
    const others = await this.run(listCareTeams, { first: 50 }, selectFields('name'));
    return { id: null, names: others.edges.map((edge) => String(edge.node['name'])) };
  }

  /**
   * Takes one bundle and makes the team responsible for its patients: for new ones with the bundle, for those that were
   * there before by the assignment of every day. Throws a Failure for a bundle of which nothing was taken.
   */
  async take(text: string, careTeamId: string | null): Promise<ImportedBundle> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const imported = await this.run(importBundle, { text, careTeamId }, NOTHING);
        if (careTeamId !== null) await this.assign(imported.knownPatients, careTeamId);
        return imported;
      } catch (error) {
        if (attempt === ATTEMPTS || !isOvertaken(error)) throw error;
      }
    }
  }

  private async assign(patients: readonly string[], careTeamId: string): Promise<void> {
    for (const patientId of patients) {
      const patient = { __typename: 'Patient', id: patientId };
      const assignments = await this.run(listAssignments, { patient }, selectFields('careTeamId', 'endedAt'));
      const living = assignments.some((one) => one['careTeamId'] === careTeamId && one['endedAt'] === null);
      if (!living) await this.run(assignCareTeam, { patientId, careTeamId }, NOTHING);
    }
  }

  /** The records of a document are durable before its result is used, whether it went well or not. */
  private async run<Arguments, Result>(
    operation: OperationDefinition<Arguments, Result>,
    input: Arguments,
    selection: Selection,
  ): Promise<Result> {
    const facts = {
      requestId: newId(),
      purpose: PURPOSE,
      reason: null,
      idempotencyKey: null,
      clientAddress: null,
    };
    const document = new Document(this.actor, facts, null);
    try {
      return await this.operations.run(operation, document, input, selection);
    } finally {
      await this.answering.settle(document, null);
    }
  }
}

/** True when somebody else wrote a row of the same key in the meantime (SQLSTATE 23505). */
function isOvertaken(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  const { cause } = error;
  return cause instanceof Error && 'kind' in cause && cause.kind === 'unique';
}
