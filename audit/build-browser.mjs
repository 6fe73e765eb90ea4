#!/usr/bin/env node
/**
 * Makes one ES module of the verifier for browsers, and a page around it that needs no server:
 *
 *     node build-browser.mjs            writes verifier.browser.mjs and verifier.browser.html beside itself
 *     node build-browser.mjs --check    writes nothing, and fails where they are not what it would write
 *
 * Each module becomes a function that is called once, in the order of their imports; nothing else is changed but that the
 * comments for documentation are left out.
 *
 * @module
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const ENTRY = 'browser.mjs';
/** Modules of Node and what stands in their place. */
const REPLACED = new Map([
  ['hash.mjs', 'browser-hash.mjs'],
  ['signing.mjs', 'browser-signing.mjs'],
]);

const IMPORT = /^import \{([^}]*)\} from '\.\/([a-z0-9-]+\.mjs)';\n/gm;
const REEXPORT = /^export \{([^}]*)\}(?: from '\.\/([a-z0-9-]+\.mjs)')?;\n/gm;
const EXPORT = /^export (?=(?:async )?(?:function\*?|class|const|let) ([A-Za-z0-9_$]+))/gm;
const COMMENT = /^[ \t]*\/\*\*(?:[^*]|\*(?!\/))*\*\/\n|\/\*\*(?:[^*]|\*(?!\/))*\*\/ ?/gm;
const FORBIDDEN = /^(?:import|export)\b|\bimport\s*\(|\bimport\.meta\b|node:|\bprocess\.|\brequire\s*\(/m;

/**
 * @param {string} name
 * @returns {string}
 */
function read(name) {
  return readFileSync(new URL(name, import.meta.url), 'utf8');
}

/**
 * @param {string} name of a module
 * @returns {string} of the variable with its exports
 */
function variableOf(name) {
  return `$${name.slice(0, -'.mjs'.length).replaceAll('-', '_')}`;
}

/**
 * @param {string} list of names in an import or export
 * @returns {string[]}
 */
function namesIn(list) {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** @returns {string} the single module */
export function buildModule() {
  /** @type {Map<string, string[]>} */
  const exported = new Map();
  /** @type {string[]} */
  const parts = [];
  /** @param {string} wanted */
  const add = (wanted) => {
    const name = REPLACED.get(wanted) ?? wanted;
    if (exported.has(name)) return name;
    exported.set(name, []);
    const { body, names } = transform(read(name), add);
    exported.set(name, names);
    const fields = names.length === 0 ? '' : `\nreturn { ${names.join(', ')} };\n`;
    parts.push(`// ${name}\n// prettier-ignore\nconst ${variableOf(name)} = (() => {\n${body}${fields}})();\n`);
    return name;
  };
  add(ENTRY);
  const names = exported.get(ENTRY) ?? [];
  const head =
    '// The verifier of Custodia ledgers for browsers, as one module: verifyFiles, verifyUrl, verifyProof. Made of the\n' +
    '// modules beside it by "node build-browser.mjs"; FORMAT.md is the specification.\n' +
    '// @ts-nocheck\n/* oxlint-disable */\n\n';
  return `${head}${parts.join('\n')}\n// prettier-ignore\nexport const { ${names.join(', ')} } = ${variableOf(ENTRY)};\n`;
}

/**
 * @param {string} source
 * @param {(name: string) => string} add makes sure that a module stands before this one, and gives its name
 * @returns {{body: string, names: string[]}}
 */
function transform(source, add) {
  /** @type {string[]} */
  const names = [];
  const bind = (/** @type {string} */ list, /** @type {string} */ from) => {
    const fields = namesIn(list).map((name) => name.replace(' as ', ': '));
    return `const { ${fields.join(', ')} } = ${variableOf(add(from))};\n`;
  };
  const body = source
    .replace(/^#!.*\n/, '')
    .replaceAll(COMMENT, '')
    .replaceAll(IMPORT, (_, list, from) => bind(list, from))
    .replaceAll(REEXPORT, (_, list, from) => {
      names.push(...namesIn(list));
      return from === undefined ? '' : bind(list, from);
    })
    .replaceAll(EXPORT, (_, name) => {
      names.push(name);
      return '';
    });
  const left = FORBIDDEN.exec(body);
  if (left !== null) throw new Error(`A browser has no "${left[0]}".`);
  return { body: body.trim() + '\n', names };
}

/**
 * @param {string} module
 * @returns {string} the page with the module in it
 */
export function buildPage(module) {
  if (/<\/script/i.test(module)) throw new Error('The module would end the script that it is in.');
  const page = read('browser.html');
  const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? [];
  const [, script = ''] = /<script type="module">([\s\S]*?)<\/script>/.exec(page) ?? [];
  const whole = `${module.replace(/^export (?=const \{)/m, '')}${script}`;
  const hash = (/** @type {string} */ text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = `default-src 'none'; script-src ${hash(whole)}; style-src ${hash(style)}; connect-src http: https:`;
  return page
    .replace('<!-- policy -->', `<meta\n      http-equiv="content-security-policy"\n      content="${policy}"\n    />`)
    .replace(
      /<script type="module">[\s\S]*?<\/script>/,
      () => `<!-- prettier-ignore -->\n    <script type="module">${whole}</script>`,
    );
}

/** @returns {Map<string, string>} the files that are made, by name */
export function buildFiles() {
  const module = buildModule();
  return new Map([
    ['verifier.browser.mjs', module],
    ['verifier.browser.html', buildPage(module)],
  ]);
}

const program = process.argv[1];
if (program !== undefined && import.meta.url === pathToFileURL(realpathSync(program)).href) {
  for (const [name, content] of buildFiles()) {
    const place = new URL(name, import.meta.url);
    if (!process.argv.includes('--check')) writeFileSync(place, content);
    else if (!existsSync(place) || read(name) !== content) {
      process.stderr.write(`${name} is stale: run "node build-browser.mjs".\n`);
      process.exitCode = 1;
    }
  }
}
