import path from 'node:path';
import { Refusal } from '../config/refusal.js';
import { PolicySource } from '../policy/source.js';
import type { Command, CommandInput } from './command.js';

/** One word of `npm run policy -- <word>`. */
export interface Verb {
  readonly usage: string;
  readonly options: NonNullable<Command['options']>;
  /** Words after the verb; none unless it says so. */
  readonly words?: number;
  run(input: CommandInput): Promise<boolean | void> | boolean;
}

export const directoryOption = { directory: { type: 'string' } } as const;

/** The policies that `--directory` names, or those of this folder. */
export function sourceOf({ values }: CommandInput): PolicySource {
  return PolicySource.directory(path.resolve(String(values['directory'] ?? 'policies')));
}

/** A share from 0 to 1. Throws Refusal for anything else. */
export function shareOf({ values }: CommandInput, option: string, standard: number): number {
  const value = values[option] === undefined ? standard : Number(values[option]);
  if (value >= 0 && value <= 1) return value;
  throw new Refusal(`--${option} is a number from 0 to 1.`, 2);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
