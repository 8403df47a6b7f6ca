// What the scripts say in the reader's language: the page carries its catalogue. English is in the scripts.
const { messages = {}, refusals = {} } = JSON.parse(document.body.dataset.words ?? "{}");
const { lang } = document.documentElement;
export const locale = lang === "en" ? "en-GB" : lang;

const fill = (text, values) => text.replace(/%\((\w+)\)s|%%/g, (_, name) => name ? values[name] : "%");
const found = (message) => messages[message]?.[0] ?? message;

export const gettext = (message, values = {}) => fill(found(message), values);

export function ngettext(singular, plural, num) {
  const forms = messages[singular] ?? [singular, plural]; // the first is of one, the last of many
  return fill(new Intl.PluralRules(locale).select(num) === "one" ? forms[0] : forms.at(-1), { num });
}

// The same as parts of a page: text, and nodes in place of placeholders.
export const gettextNodes = (message, nodes) => found(message).split(/%\((\w+)\)s/).map((part, place) => place % 2 ? nodes[part] : part);

export const number = (value, digits) => value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });

// A name of the node's data, such as that of a diagnosis.
export const term = (name) => found(name.replaceAll("_", " "));

// Why the node refused something.
export const refusal = (answer) => refusals[answer.code] ?? `${answer.error}. ${answer.remedy}.`;
