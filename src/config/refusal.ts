/**
 * What an operator is told when a command cannot start or go on: one sentence with safe values only. Exit code 1 says
 * that the attempt failed, 2 that the command line was wrong.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    message: string,
    readonly exitCode: 1 | 2 = 1,
  ) {
    super(message);
  }
}
