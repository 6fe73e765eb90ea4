/**
 * Chapters of ICD-10 (WHO, 2019) by the range of their three-character categories, first and last inclusive; titles
 * without "diseases" and "disorders" at their ends. A range reaches as far as ICD-10-CM's does (D49, K95, O9A, Y99).
 */
export const ICD_10_CHAPTERS: readonly (readonly [first: string, last: string, title: string])[] = [
  ['A00', 'B99', 'Certain infectious and parasitic'],
  ['C00', 'D49', 'Neoplasms'],
  ['D50', 'D89', 'Blood and blood-forming organs and certain disorders involving the immune mechanism'],
  ['E00', 'E90', 'Endocrine, nutritional and metabolic'],
  ['F00', 'F99', 'Mental and behavioural'],
  ['G00', 'G99', 'Nervous system'],
  ['H00', 'H59', 'Eye and adnexa'],
  ['H60', 'H95', 'Ear and mastoid process'],
  ['I00', 'I99', 'Circulatory system'],
  ['J00', 'J99', 'Respiratory system'],
  ['K00', 'K95', 'Digestive system'],
  ['L00', 'L99', 'Skin and subcutaneous tissue'],
  ['M00', 'M99', 'Musculoskeletal system and connective tissue'],
  ['N00', 'N99', 'Genitourinary system'],
  ['O00', 'O9A', 'Pregnancy, childbirth and the puerperium'],
  ['P00', 'P96', 'Certain conditions originating in the perinatal period'],
  ['Q00', 'Q99', 'Congenital malformations, deformations and chromosomal abnormalities'],
  ['R00', 'R99', 'Symptoms, signs and abnormal clinical and laboratory findings, not elsewhere classified'],
  ['S00', 'T98', 'Injury, poisoning and certain other consequences of external causes'],
  ['U00', 'U99', 'Codes for special purposes'],
  ['V00', 'Y99', 'External causes of morbidity and mortality'],
  ['Z00', 'Z99', 'Factors influencing health status and contact with health services'],
];

/** A special compartment: data that the treating relationship alone does not open. */
export type CompartmentLabel = 'HIV_STD' | 'MENTAL' | 'SUD' | 'GENETIC' | 'REPRO' | 'ABUSE';

/**
 * Codes of the compartments, by categories from first to last, or by one subcategory (`Z04.4` without its point). Z3A
 * (weeks of gestation) and O9A are ICD-10-CM's own ends of the blocks Z30–Z39 and O00–O99.
 */
export const COMPARTMENT_RANGES: readonly (readonly [first: string, last: string, label: CompartmentLabel])[] = [
  ['B20', 'B24', 'HIV_STD'],
  ['Z21', 'Z21', 'HIV_STD'],
  ['R75', 'R75', 'HIV_STD'],
  ['A50', 'A64', 'HIV_STD'],
  ['F00', 'F09', 'MENTAL'],
  ['F20', 'F99', 'MENTAL'],
  ['X60', 'X84', 'MENTAL'],
  ['F10', 'F19', 'SUD'],
  ['O00', 'O9A', 'REPRO'],
  ['Z30', 'Z3A', 'REPRO'],
  ['N96', 'N98', 'REPRO'],
  ['T74', 'T74', 'ABUSE'],
  ['T76', 'T76', 'ABUSE'],
  ['Y07', 'Y07', 'ABUSE'],
  ['Z044', 'Z044', 'ABUSE'],
  ['Z14', 'Z15', 'GENETIC'],
  ['Q90', 'Q99', 'GENETIC'],
];

/**
 * Names of departments whose every visit tells the compartment, in lower case. Chinese ones are found anywhere, Latin
 * ones at the start of a word, and as a whole word where a space follows (`sarc ` is no sarcoma clinic). The first label wins.
 */
export const COMPARTMENT_DEPARTMENTS: readonly (readonly [label: CompartmentLabel, names: readonly string[]])[] = [
  [
    'HIV_STD',
    [
      ...[
        'infectious disease',
        'infectology',
        'hiv ',
        'aids ',
        'std ',
        'sti ',
        'sexually transmitted',
        'sexual health',
      ],
      ...[
        'venereology',
        'venereal',
        'genitourinary medicine',
        '感染',
        '传染',
        '傳染',
        '艾滋',
        '愛滋',
        '性病',
        '性传播',
      ],
      ...['红丝带', '紅絲帶'],
    ],
  ],
  [
    'SUD',
    [
      ...['addiction', 'substance', 'detox', 'alcohol', 'opioid', 'methadone', 'drug dependence'],
      ...[
        '成瘾',
        '成癮',
        '戒毒',
        '戒酒',
        '戒瘾',
        '戒癮',
        '脱瘾',
        '药瘾',
        '毒瘾',
        '美沙酮',
        '物质依赖',
        '药物依赖',
        '酒依赖',
      ],
      ...['物質依賴', '藥物依賴', '酒精依赖', '物质滥用', '药物滥用'],
    ],
  ],
  [
    'ABUSE',
    [
      ...['sexual assault', 'sexual abuse', 'rape ', 'domestic violence', 'abuse ', 'sane ', 'sarc '],
      ...['性侵', '性暴力', '家暴', '家庭暴力', '虐待', '受虐'],
    ],
  ],
  [
    'MENTAL',
    [
      ...['psych', 'neuropsych', 'mental', 'behavioral health', 'behavioural health'],
      ...['精神', '心理', '心身', '身心', '抑郁', '憂鬱', '自杀'],
    ],
  ],
  [
    'REPRO',
    [
      ...['reproduct', 'fertility', 'infertility', 'ivf ', 'assisted conception', 'family planning', 'abortion'],
      ...[
        'termination of pregnancy',
        'contracept',
        '生殖',
        '不孕',
        '不育',
        '试管婴儿',
        '試管嬰兒',
        '计划生育',
        '計劃生育',
      ],
      ...['流产', '流產', '避孕', '绝育', '终止妊娠'],
    ],
  ],
  ['GENETIC', ['genetic', 'cytogenetic', 'genomic', '遗传', '遺傳', '基因']],
];
