// Words in the reader's language, which the page keeps in <html lang>.

export class Words {
  // texts: {key: {en, vi}}; root: parts with data-word, data-tip, data-label or data-hint show them.
  constructor(texts, root) { Object.assign(this, { texts, root }); }

  get(key, values = {}) {
    const text = this.texts[key]?.[document.documentElement.lang] ?? this.texts[key]?.en ?? key;
    return Object.entries(values).reduce((filled, [name, value]) => filled.replaceAll(`{${name}}`, value), text);
  }

  show() {
    const each = (name, put) => {
      for (const part of this.root.querySelectorAll(`[data-${name}]`)) put(part, this.get(part.dataset[name]));
    };
    each("word", (part, text) => { part.textContent = text; });
    each("tip", (part, text) => { part.title = text; });
    each("label", (part, text) => part.setAttribute("aria-label", text));
    each("hint", (part, text) => { part.placeholder = text; });
  }

  // Show them now and whenever the language changes; `after` follows each time.
  follow(after = () => {}) {
    const show = () => { this.show(); after(); };
    new MutationObserver(show).observe(document.documentElement, { attributes: true, attributeFilter: ["lang"] });
    show();
  }
}
