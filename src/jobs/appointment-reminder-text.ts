/** Regions whose tenants write to their patients in Chinese; the others in English. */
const CHINESE: ReadonlySet<string> = new Set(['CN', 'HK', 'MO', 'TW']);

const MOMENT = {
  weekday: 'long',
  year: 'numeric',
  month: 'long',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
  timeZoneName: 'short',
} as const;

/**
 * What a patient is told the day before: when, in the tenant's time zone, and nothing else. Whoever holds the telephone may
 * read it, so neither department nor reason nor name is in it.
 */
export function reminderText(start: string, tenant: { readonly country: string; readonly timeZone: string }): string {
  const chinese = CHINESE.has(tenant.country);
  const format = new Intl.DateTimeFormat(chinese ? 'zh-CN' : 'en-GB', { ...MOMENT, timeZone: tenant.timeZone });
  const moment = format.format(Date.parse(start));
  return chinese
    ? `温馨提醒：您的预约时间为${moment}。如需改期或取消，请联系预约机构。`
    : `Reminder: you have an appointment on ${moment}. To change or cancel it, please contact us.`;
}
