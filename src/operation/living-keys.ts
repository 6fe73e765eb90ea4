import { databaseFault } from '../persistence/sqlstate.js';
import { Scope } from './scope.js';

/** The error of the trigger `refuse_destroyed_wrap`. */
const DESTROYED_WRAP = 'CU002';

/**
 * A process that has not heard of a rotation may wrap a new key under one that was destroyed: the database refuses it, and
 * nothing was written. Then the keys are loaded and the operation runs once more, in a scope of its own.
 */
export async function underLivingKeys<Result>(scope: Scope, write: (scope: Scope) => Promise<Result>): Promise<Result> {
  try {
    return await write(scope);
  } catch (error) {
    if (databaseFault(error).sqlstate !== DESTROYED_WRAP) throw error;
    const { services, document, purpose, selection, steppedUp, recordedAlone, demanded } = scope;
    await services.vault.reloadKeys(scope.actor.tenant);
    const again = new Scope(services, document, purpose, selection);
    Object.assign(again, { steppedUp, recordedAlone });
    for (const obligation of demanded) again.demanded.add(obligation);
    return write(again);
  }
}
