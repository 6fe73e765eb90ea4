// The arrows between the rooms. A room that is not in the table may import nothing of ours; a spec file may import all.
/** @type {Record<string, string[]>} */
const ROOMS = {
  kernel: [],
  config: ['kernel'],
  persistence: ['kernel', 'config'],
  telemetry: ['kernel', 'config'],
  identity: ['kernel', 'config', 'persistence'],
  vault: ['kernel', 'config', 'persistence'],
  policy: ['kernel', 'config', 'persistence'],
  ledger: ['kernel', 'config', 'vault', 'persistence'],
  operation: ['kernel', 'telemetry', 'policy', 'vault', 'ledger', 'persistence', 'identity'],
  domain: ['kernel', 'operation', 'persistence'],
  interop: ['kernel', 'config', 'telemetry', 'identity', 'operation', 'domain', 'policy', 'ledger'],
  api: ['kernel', 'config', 'telemetry', 'identity', 'operation', 'domain', 'policy', 'ledger'],
};
const UPPER = Object.keys(ROOMS).filter((room) => room !== 'api');
ROOMS.jobs = UPPER;
ROOMS.demo = UPPER;
ROOMS.cli = [...UPPER, 'jobs', 'demo'];

const OURS = '^(src|audit|migrations|test|bench)/';
const ROOT = '^src/(main|app\\.module|composition|mikro-orm\\.config)\\.ts$';
const SPEC = '\\.spec\\.ts$';

/** Files of ours outside the rooms which a room may import beside the rooms of the table. */
const EXTRAS = { ledger: ['^audit/'], demo: [ROOT], cli: [ROOT, '^migrations/list\\.ts$', '^audit/'] };

const arrows = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `arrows-${room}`,
  comment: `${room} may import ${allowed.join(', ') || 'nothing of ours'}.`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: SPEC },
  to: { path: OURS, pathNot: [`^src/(${[room, ...allowed].join('|')})/`, ...(EXTRAS[room] ?? [])] },
}));

/** Packages that only these files import. */
const owned = [
  ['casl', '(^|node_modules/)@casl/', ['^src/policy/']],
  [
    'database',
    '(^|node_modules/)(pg|@mikro-orm/(?!decorators)[^/]+)(/|$)',
    ['^src/(operation|ledger|persistence)/', '\\.store\\.ts$', '^migrations/', ROOT, '^(test|bench)/'],
  ],
  ['pino', '(^|node_modules/)pino(/|$)', ['^src/telemetry/']],
  ['prometheus', '(^|node_modules/)prom-client(/|$)', ['^src/telemetry/']],
  ['sign-in', '(^|node_modules/)(jose|otplib|@node-rs/argon2)(/|$)', ['^src/identity/']],
  ['forge', '(^|node_modules/)node-forge(/|$)', ['^src/(vault|identity|ledger)/']],
  [
    'apollo',
    '(^|node_modules/)(@apollo|@nestjs/apollo|@as-integrations|@fastify)(/|$)',
    ['^src/api/', ROOT, '^bench/'],
  ],
].map(([name, target, importers]) => ({
  name: `only-importer-${name}`,
  severity: 'error',
  from: { pathNot: [...importers, SPEC, '^test/'] },
  to: { path: target },
}));

module.exports = {
  forbidden: [
    ...arrows,
    ...owned,
    {
      name: 'unknown-room',
      comment: 'A new room needs a line in the table of this file.',
      severity: 'error',
      from: { path: `^src/(?!(${Object.keys(ROOMS).join('|')})/)`, pathNot: [ROOT, SPEC] },
      to: {},
    },
    {
      name: 'kernel-node-only',
      severity: 'error',
      from: { path: '^src/kernel/', pathNot: SPEC },
      to: { dependencyTypesNot: ['core', 'local'] },
    },
    {
      name: 'audit-node-only',
      comment: 'The verifier owes the server nothing: it runs alone after being copied out.',
      severity: 'error',
      from: { path: '^audit/.*\\.mjs$' },
      to: { pathNot: '^audit/.*\\.mjs$', dependencyTypesNot: ['core'] },
    },
    {
      name: 'noun-of-another-folder',
      comment:
        'Of another noun only its model file: the one with the name of its folder, or of a class joined to it. ' +
        'Terminology belongs to no noun.',
      severity: 'error',
      from: { path: '^src/domain/([^/]+)/', pathNot: SPEC },
      to: {
        path: '^src/domain/[^/]+/',
        pathNot: ['^src/domain/($1|terminology)/', '^src/domain/([^/]+)/\\1(-assignment)?\\.ts$'],
      },
    },
    {
      name: 'policy-types-only',
      severity: 'error',
      from: { path: '^src/(api|interop)/', pathNot: SPEC },
      to: { path: '^src/policy/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'ledger-read-side-only',
      comment: 'Who serves requests writes to the ledger through an operation.',
      severity: 'error',
      from: { path: '^src/(api|interop)/', pathNot: SPEC },
      to: { path: '^src/ledger/(writer|sequencer|session|entry-statement)', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'migrations-and-tests-are-imported-by-nobody',
      severity: 'error',
      from: { path: '^src/', pathNot: [SPEC, ROOT, '^src/cli/'] },
      to: { path: '^(migrations|test|bench)/' },
    },
    {
      name: 'no-cycle',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-orphan',
      severity: 'error',
      from: {
        orphan: true,
        pathNot: ['^(test|bench)/', '^src/cli/', '^src/main\\.ts$', '\\.d\\.ts$', '^audit/', '^src/api/graphiql/'],
      },
      to: {},
    },
    {
      name: 'resolvable',
      comment: 'The one package that is left out has types and no code.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^@graphql-typed-document-node/core$' },
    },
    {
      name: 'ships-without-development-packages',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: SPEC },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: '^node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|\\.data)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.json', '.node'],
    },
    skipAnalysisNotInRules: true,
  },
};
