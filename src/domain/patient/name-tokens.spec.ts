import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nameForm, readingOf } from './name-form.js';
import { nameMatches, nameTokens, wantedTokens } from './name-tokens.js';

/** As the system does it: tokens of one alternative first, then the value itself. */
function finds(name: string, text: string): boolean {
  const query = nameForm(text);
  const tokens = new Set(nameTokens(name));
  const candidate = wantedTokens(query).some((wanted) => wanted.every((token) => tokens.has(token)));
  return candidate && nameMatches(name, query);
}

const SURNAMES = ['王', '曾', '单', '仇', '解', '查', '区', '吕', '万', '鄂', '欧阳', '司马', '诸葛', '长孙', '尉迟'];
const GIVEN = [...'小明伟芳娜敏静丽强磊军洋勇艳杰涛超霞平刚桂雨西安女绿一不行重乐'];
const chinese = fc
  .tuple(fc.constantFrom(...SURNAMES), fc.array(fc.constantFrom(...GIVEN), { minLength: 1, maxLength: 3 }))
  .map(([surname, given]) => ({ surname, given: given.join(''), name: surname + given.join('') }));
const word = fc.stringMatching(/^[A-Z][a-zäöüéñçßøłæ]{1,9}$/u);
const slice = (text: string) =>
  fc
    .tuple(fc.nat([...text].length - 1), fc.nat([...text].length - 1))
    .map(([one, other]) => [...text].slice(Math.min(one, other), Math.max(one, other) + 1).join(''));

describe('a Chinese name', () => {
  test('is found by any consecutive characters of it', () => {
    fc.assert(
      fc.property(
        chinese.chain(({ name }) => fc.tuple(fc.constant(name), slice(name))),
        ([name, part]) => expect([name, part, finds(name, part)]).toEqual([name, part, true]),
      ),
      { numRuns: 300 },
    );
  });

  test('is found by its reading in full, by its initials and by that of the family name', () => {
    fc.assert(
      fc.property(chinese, ({ name }) => {
        const { full, initials, surname } = readingOf([...name])!;
        for (const text of [full, full.toUpperCase(), initials, surname])
          if (text.length > 1) expect([name, text, finds(name, text)]).toEqual([name, text, true]);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['曾小明', 'zeng xiaoming', 'zxm', 'zeng'],
    ['单田芳', 'Shan Tianfang', 'stf', 'shan'],
    ['仇英', 'qiu ying', 'qy', 'qiu'],
    ['解晓东', 'xie xiao dong', 'XXD', 'xie'],
    ['查良镛', 'zhaliangyong', 'zly', 'zha'],
    ['区志强', 'ōu zhì qiáng', 'ozq', 'ou'],
    ['欧阳娜娜', 'ouyang nana', 'oynn', 'ouyang'],
    ['司马相如', 'simaxiangru', 'smxr', 'sima'],
    ['诸葛亮', 'zhuge liang', 'zgl', 'zhuge'],
    ['吕西安', "lü xi'an", 'lxa', 'lv'],
    ['吕布', 'lyu bu', 'lb', 'lu'],
    ['万雨', 'wan yu', 'wy', 'wan'],
    ['王 小明', 'wangxiaoming', 'wxm', 'wang'],
    ['阿卜杜拉·买买提', 'abudulamaimaiti', 'abdlmmt'.slice(0, 6) + 't', 'a'],
  ])('%s is read %s, %s, %s', (name, full, initials, surname) => {
    expect(finds(name, full)).toBe(true);
    if (initials.length <= 6) expect(finds(name, initials)).toBe(true);
    if (surname.length > 1) expect(finds(name, surname)).toBe(true);
  });

  test.each(['明小', '王明', '李', 'wangming', 'xiaoming', 'mingxiao', 'xm', 'wxmm', 'wan', 'wangx'])(
    '王小明 is not found by %s',
    (text) => expect(finds('王小明', text)).toBe(false),
  );

  test('is found by characters of full width, of compatibility and with dots between', () => {
    expect(finds('阿卜杜拉·买买提', '杜拉买')).toBe(true);
    expect(finds('金明', '\uF90A明'.normalize('NFKC'))).toBe(true);
    expect(finds('王小明', 'ＷＸＭ')).toBe(true);
  });
});

describe('a name in letters', () => {
  test('is found by the beginning of each of its words, whatever case and form', () => {
    const query = fc.tuple(
      word,
      word,
      fc.nat(1),
      fc.integer({ min: 2, max: 10 }),
      fc.constantFrom('NFC', 'NFD', 'NFKC'),
    );
    fc.assert(
      fc.property(query, fc.boolean(), ([first, last, which, length, form], upper) => {
        const part = [...(which === 0 ? first : last)].slice(0, length).join('').normalize(form);
        const text = upper ? part.toUpperCase() : part;
        expect([first, last, text, finds(`${first} ${last}`, text)]).toEqual([first, last, text, true]);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['Müller', 'muller'],
    ['Muller', 'MÜLL'],
    ['Groß', 'gross'],
    ['Gross', 'groß'],
    ['Søren Kierkegaard', 'soren kier'],
    ['Łukasz Żak', 'lukasz zak'],
    ['Æthelred', 'aeth'],
    ['İbrahim Işık', 'ibrahim isik'],
    ['Ibrahim', 'ıbra'],
    ["Seán O'Brien", 'obrien'],
    ["Seán O'Brien", "o'bri"],
    ['Seán O’Brien', 'brien sean'],
    ['Anne-Marie Curie', 'annemarie'],
    ['Anne-Marie Curie', 'marie cu'],
    ['Anne Marie', 'anne m'],
    ['Đỗ Thị Hương', 'do thi huong'],
    ['Ｊｏｈｎ Smith', 'john'],
    ['王小明 (John Wang)', '小明 jo'],
    ['Иван Петров', 'пет'],
  ])('%s is found by %s', (name, text) => {
    expect(finds(name, text)).toBe(true);
  });

  test.each([
    ['John Smith', 'mith'],
    ['John Smith', 'smithe'],
    ['John Smith', 'john jones'],
    ['John Smith', 'js'],
    ['John Smith', 'johnsmith'],
    ['Anna Bell', '安娜'],
  ])('%s is not found by %s', (name, text) => {
    expect(finds(name, text)).toBe(false);
  });
});

test('no text makes them throw, and nothing is searched where there is nothing to search', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      expect(nameTokens(text).length).toBeLessThanOrEqual(60);
      expect(wantedTokens(nameForm(text)).every((wanted) => wanted.length > 0)).toBe(true);
    }),
  );
  for (const text of ['', ' ', '·', '12', '%', '-', "'"])
    expect([text, nameMatches('王小明', nameForm(text)) && wantedTokens(nameForm(text)).length > 0]).toEqual([
      text,
      false,
    ]);
});
