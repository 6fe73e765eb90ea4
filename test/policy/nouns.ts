import { registry } from '../../src/kernel/attribute.js';

// The model files reach graphql from both module systems; it must be evaluated whole before the second one asks for it.
await import('graphql');
await import('../../src/domain/nouns.js');

/** The registry of the real nouns, filled. */
export { registry };
