import { Args, Context, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { SignedIn } from '../identity/identity.js';
import type { Document } from '../operation/document.js';
import { Sessions } from '../operation/sessions.js';
import {
  MeType,
  RecoveryCodes,
  SatisfyChallengeInput,
  Session,
  SignInInput,
  TotpEnrolment,
} from './types/session-types.js';

@Resolver()
export class SessionResolver {
  constructor(private readonly sessions: Sessions) {}

  @Mutation(() => Session)
  async signIn(@Context('document') document: Document, @Args('input') input: SignInInput) {
    return sessionOf(await this.sessions.signIn(document, input));
  }

  /** Without a token a browser's cookie stands for it (refresh-cookie.ts); with neither it is refused like a wrong one. */
  @Mutation(() => Session)
  async refresh(
    @Context('document') document: Document,
    @Args('refreshToken', { type: () => String, nullable: true }) refreshToken: string | null,
  ) {
    return sessionOf(await this.sessions.refresh(document, refreshToken ?? ''));
  }

  @Mutation(() => Boolean)
  signOut(@Context('document') document: Document) {
    return this.sessions.signOut(document);
  }

  @Mutation(() => TotpEnrolment)
  enrolTotp(@Context('document') document: Document) {
    return this.sessions.enrolTotp(document);
  }

  @Mutation(() => RecoveryCodes)
  async confirmTotp(@Context('document') document: Document, @Args('code') code: string) {
    return { codes: await this.sessions.confirmTotp(document, code) };
  }

  @Mutation(() => Boolean)
  satisfyChallenge(@Context('document') document: Document, @Args('input') input: SatisfyChallengeInput) {
    return this.sessions.satisfyChallenge(document, input.id, input.code);
  }

  @Query(() => MeType)
  me(@Context('document') document: Document) {
    return this.sessions.me(document);
  }
}

function sessionOf({ accessToken, refreshToken, expiresAt }: SignedIn): Session {
  return { accessToken, refreshToken, expiresAt: expiresAt.toISOString() };
}
