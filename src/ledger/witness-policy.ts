import { readFileSync } from 'node:fs';
import { parsePolicy, type Policy } from '../../audit/policy.mjs';
import type { Configuration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';

/** Who cosigns the checkpoints of this installation. */
export interface WitnessSettings {
  readonly policy: Policy;
  /** Whether the ledger has a problem while the newest checkpoints lack the quorum of the policy. */
  readonly demanded: boolean;
}

/** The witnesses that the operator configured; undefined without any. Throws as {@link readWitnessPolicy}. */
export function witnessSettings({ ledgerWitnesses, ledgerQuorum }: Configuration): WitnessSettings | undefined {
  if (ledgerWitnesses === null) return undefined;
  return { policy: readWitnessPolicy(ledgerWitnesses), demanded: ledgerQuorum === 'demanded' };
}

/** Reads a policy file (c2sp.org/tlog-policy). Throws a {@link Refusal} that names the line which is wrong. */
export function readWitnessPolicy(path: string): Policy {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new Refusal('The policy with the witnesses (CUSTODIA_LEDGER_WITNESSES) could not be read.');
  }
  try {
    return parsePolicy(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    throw new Refusal(`The policy with the witnesses (CUSTODIA_LEDGER_WITNESSES) is not valid. ${why}`);
  }
}
