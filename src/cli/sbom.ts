import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';
import { runCommand } from './command.js';

const usage = `Usage: npm run sbom [-- <file>]

  Writes the software bill of materials of what ships, in CycloneDX JSON, as package-lock.json names it. The file is
  dist/custodia.cdx.json unless another is named.`;

/** As far as it is looked at here; the rest is npm's. */
interface BillOfMaterials {
  readonly metadata: { readonly component: { readonly 'bom-ref': string; name: string } };
  components: { readonly 'bom-ref': string; properties?: readonly { readonly name: string }[] }[];
  dependencies: { readonly ref: string; dependsOn: string[] }[];
}

interface LockFile {
  readonly packages: Readonly<
    Record<string, { readonly name?: string; readonly version?: string; readonly dev?: true }>
  >;
}

await runCommand({
  usage,
  words: [0, 1],
  async run({ positionals }) {
    const file = path.resolve(positionals[0] ?? path.join('dist', 'custodia.cdx.json'));
    const bill = withoutDevelopment(fullBill(), shipping());
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(bill, null, 2)}\n`);
    process.stdout.write(`${bill.components.length} components\n`);
  },
});

function fullBill(): BillOfMaterials {
  const words = ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only', '--include=dev'];
  const windows = process.platform === 'win32';
  const { status, stdout } = spawnSync('npm', words, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, shell: windows });
  if (status !== 0) throw new Refusal('npm could not make the list: is npm 10 or newer in the path?');
  const bill = JSON.parse(stdout) as BillOfMaterials;
  // npm calls the root component by the name of its folder.
  bill.metadata.component.name = (JSON.parse(readFileSync('package.json', 'utf8')) as { name: string }).name;
  return bill;
}

/** `name@version` of every package that is not for development alone, as the lock file marks them. */
function shipping(): ReadonlySet<string> {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as LockFile;
  const shipped = Object.entries(packages).filter(([place, { dev }]) => place !== '' && dev !== true);
  return new Set(shipped.map(([place, one]) => `${one.name ?? place.split('node_modules/').at(-1)}@${one.version}`));
}

/** npm's own `--omit=dev` also leaves out what ships when a development package needs it too (npm 11.19). */
function withoutDevelopment(bill: BillOfMaterials, shipped: ReadonlySet<string>): BillOfMaterials {
  const root = bill.metadata.component['bom-ref'];
  bill.components = bill.components.filter((one) => shipped.has(one['bom-ref']));
  for (const one of bill.components) {
    one.properties = one.properties?.filter(({ name }) => name !== 'cdx:npm:package:development');
  }
  bill.dependencies = bill.dependencies.filter(({ ref }) => ref === root || shipped.has(ref));
  for (const one of bill.dependencies) one.dependsOn = one.dependsOn.filter((ref) => shipped.has(ref));
  return bill;
}
