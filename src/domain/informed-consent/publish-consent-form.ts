import { hash } from 'node:crypto';
import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

export interface PublishConsentFormArguments {
  readonly code: string;
  readonly textVersion: string;
  readonly language: string;
  readonly title: string;
  readonly text: string;
}

/**
 * Publishes a text for patients to sign. The digest is of the text as it is kept and given out: in Unicode form NFC,
 * without white space at its ends. The same code, language and version a second time is BAD_USER_INPUT.
 */
export const publishConsentForm = defineOperation<PublishConsentFormArguments, View>({
  name: 'publishConsentForm',
  kind: 'CREATE',
  action: 'create',
  type: 'ConsentForm',
  mode: 'write',
  handler: (scope, input) => {
    const language = canonicalLanguage(input.language);
    const text = input.text.normalize('NFC').trim();
    const values = { ...input, language, text, sha256: hash('sha256', text, 'hex') };
    return Promise.resolve(scope.write.create('ConsentForm', values).view);
  },
});

/** RFC 5646 in its canonical form, so that one language is not published twice under two spellings. */
function canonicalLanguage(tag: string): string {
  try {
    return Intl.getCanonicalLocales(tag.trim())[0] ?? '';
  } catch {
    throw new Failure(
      'BAD_USER_INPUT',
      'ConsentForm.language is no language tag.',
      'Send one of BCP 47, such as zh-CN.',
    );
  }
}
