const $ = id => document.getElementById(id);
const make = (tag, props, ...children) => { const e = Object.assign(document.createElement(tag), props); e.append(...children); return e; };

// Indented JSON in which arrays of plain values fill their lines: a picture or an embedding is to be seen whole.
function pretty(value) {
return (JSON.stringify(value, null, 2) ?? '').replace(/"(?:[^"\\]|\\.)*"|\[[^"[\]{}]+\]/g, (text, at, all) => {
if (text[0] === '"') return text;
const values = text.slice(1, -1).split(',').map(v => v.trim()), flat = `[${values.join(', ')}]`;
if (at - all.lastIndexOf('\n', at) + flat.length < 80) return flat;
const indent = text.match(/^\[\n( *)/)[1], lines = [''];
for (const v of values) { if ((lines.at(-1) + v).length > 76 - indent.length) lines.push(''); lines[lines.length - 1] += `${v}, `; }
return `[\n${lines.map(l => indent + l.trim()).join('\n').slice(0, -1)}\n${indent.slice(2)}]`;
});
}
