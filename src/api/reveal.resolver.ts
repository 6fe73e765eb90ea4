import { Args, Context, Mutation, Resolver } from '@nestjs/graphql';
import type { Document } from '../operation/document.js';
import { revealOf } from '../operation/reveal.js';
import { Operations } from '../operation/run.js';
import { selectFields } from '../operation/selection.js';
import { Revealed, RevealArgumentsType } from './types/reveal-types.js';

@Resolver()
export class RevealResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => Revealed, {
    description: 'One record, one data group, in clear. Needs X-Reason; counted, and recorded by itself.',
  })
  reveal(
    @Context('document') document: Document,
    @Args({ type: () => RevealArgumentsType }) input: RevealArgumentsType,
  ) {
    return this.operations.run(revealOf(input.type), document, { ...input }, selectFields());
  }
}
