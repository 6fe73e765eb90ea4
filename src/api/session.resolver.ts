import { Args, Context, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Document } from '../operation/document.js';
import { Sessions } from '../operation/sessions.js';
import { MeType, Session, SignInInput } from './types/session-types.js';

@Resolver()
export class SessionResolver {
  constructor(private readonly sessions: Sessions) {}

  @Mutation(() => Session)
  signIn(@Context('document') document: Document, @Args('input') input: SignInInput) {
    return this.sessions.signIn(document, input);
  }

  @Mutation(() => Session)
  refresh(@Context('document') document: Document, @Args('refreshToken') refreshToken: string) {
    return this.sessions.refresh(document, refreshToken);
  }

  @Mutation(() => Boolean)
  signOut(@Context('document') document: Document) {
    return this.sessions.signOut(document);
  }

  @Query(() => MeType)
  me(@Context('document') document: Document) {
    return this.sessions.me(document);
  }
}
