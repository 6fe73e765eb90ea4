import { Args, Context, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { SignedIn } from '../identity/identity.js';
import type { Document } from '../operation/document.js';
import { Sessions } from '../operation/sessions.js';
import { MeType, Session, SignInInput } from './types/session-types.js';

@Resolver()
export class SessionResolver {
  constructor(private readonly sessions: Sessions) {}

  @Mutation(() => Session)
  async signIn(@Context('document') document: Document, @Args('input') input: SignInInput) {
    return sessionOf(await this.sessions.signIn(document, input));
  }

  @Mutation(() => Session)
  async refresh(@Context('document') document: Document, @Args('refreshToken') refreshToken: string) {
    return sessionOf(await this.sessions.refresh(document, refreshToken));
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

function sessionOf({ accessToken, refreshToken, expiresAt }: SignedIn): Session {
  return { accessToken, refreshToken, expiresAt: expiresAt.toISOString() };
}
