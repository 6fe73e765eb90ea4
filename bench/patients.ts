/** What createPatient takes, for both servers. */
export interface SyntheticPatient {
  readonly name: string;
  readonly gender: string;
  readonly birthDate: string;
  readonly phone: string;
  readonly email: string;
  readonly address: string;
  readonly nationalId: string;
  readonly insuranceNumber: string;
}

const SURNAMES = [...'王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗'];
const GIVEN = [...'伟芳娜敏静丽强磊军洋勇艳杰涛明超霞平刚桂'];
const FIRST =
  'Mary James Anna Robert Linda David Susan Paul Karen Mark Lisa Peter Nancy George Emma Frank Ruth Henry Alice Jack'.split(
    ' ',
  );
const LAST =
  'Smith Jones Brown Davis Miller Wilson Moore Taylor Clark Lewis Walker Hall Young King Wright Hill Scott Green Baker Adams'.split(
    ' ',
  );
const REGIONS = [
  ['北京市海淀区中关村大街', '110108'],
  ['上海市浦东新区世纪大道', '310115'],
  ['广东省广州市天河路', '440106'],
  ['四川省成都市人民南路', '510107'],
] as const;
const CITIES = ['San Francisco, CA 94105', 'Boston, MA 02115', 'Austin, TX 78701', 'Seattle, WA 98101'] as const;
const CHECK_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/**
 * The patient of this number: always the same one, in turn a Chinese and an American. Names are unique below 16,000, so
 * that an answer can be checked against the patient it must be of.
 */
export function syntheticPatient(index: number): SyntheticPatient {
  const random = mulberry32(index + 1);
  const below = (limit: number) => Math.floor(random() * limit);
  const digits = (count: number) => Array.from({ length: count }, () => below(10)).join('');
  const two = (value: number) => String(value).padStart(2, '0');
  const birthDate = `${1935 + below(80)}-${two(1 + below(12))}-${two(1 + below(28))}`;
  const person = Math.floor(index / 2);
  const common = {
    gender: below(2) === 0 ? 'female' : 'male',
    birthDate,
    email: `person${index}@example.com`,
    insuranceNumber: `H${digits(11)}`,
  };
  if (index % 2 === 0) {
    const [street, code] = pick(REGIONS, below(REGIONS.length));
    return {
      ...common,
      name: pick(SURNAMES, person) + pick(GIVEN, person / 20) + pick(GIVEN, person / 400),
      phone: `13${digits(9)}`,
      address: `${street}${1 + below(300)}号`,
      nationalId: withCheckCharacter(`${code}${birthDate.replaceAll('-', '')}${digits(3)}`),
    };
  }
  return {
    ...common,
    name: `${pick(FIRST, person)} ${String.fromCharCode(65 + (Math.floor(person / 400) % 26))}. ${pick(LAST, person / 20)}`,
    phone: `+1 415 555 ${digits(4)}`,
    address: `${1 + below(900)} Market Street, ${pick(CITIES, below(CITIES.length))}`,
    nationalId: `999-${digits(2)}-${digits(4)}`,
  };
}

/** A small seeded generator: numbers from 0 to below 1, the same for the same seed. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** GB 11643-1999, ISO 7064 MOD 11-2. */
function withCheckCharacter(digits: string): string {
  const sum = CHECK_WEIGHTS.reduce((total, weight, at) => total + weight * Number(digits[at]), 0);
  return digits + '10X98765432'.charAt(sum % 11);
}

function pick<Item>(items: readonly Item[], position: number): Item {
  return items[Math.floor(position) % items.length] as Item;
}
