/** The page's style. Colours are variables with a light and a dark value; each meets WCAG AA on its panel, and series differ by symbol too. */
export const pageStyle = `
:root{color-scheme:light dark;--page:#f5f6f8;--panel:#fff;--ink:#171a21;--ink-soft:#515868;--line:#d9dde5;--grid:#e6e9ef;--link:#1a4fc4;--good:#0a6b47;--warn:#8a4b00;--bad:#b3261e;--mark:#eaf1ff;
--series-0:#2457d6;--series-1:#c2410c;--series-2:#0f766e;--series-3:#7c3aed}
@media (prefers-color-scheme:dark){:root{--page:#0f1218;--panel:#171b23;--ink:#eceff5;--ink-soft:#aab3c3;--line:#2e3542;--grid:#262c37;--link:#9dbdff;--good:#5fd3a2;--warn:#f3b562;--bad:#ff8f86;--mark:#1e2b47;
--series-0:#86aaff;--series-1:#ff9e64;--series-2:#4fd1c0;--series-3:#c6a5ff}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:3.5rem}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
a{color:var(--link);text-underline-offset:.15em;text-decoration-thickness:1px}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999px;top:0;padding:.6rem 1rem;background:var(--panel);z-index:3}
.skip:focus{left:.5rem;top:.5rem}
header,main,footer{max-width:1180px;margin:0 auto;padding:0 1rem}
header{padding-top:2.2rem}
h1{font-size:clamp(1.6rem,4.5vw,2.2rem);line-height:1.2;margin:0 0 .4rem;letter-spacing:-.015em}
h2{font-size:1.4rem;margin:0 0 .4rem;letter-spacing:-.01em}
h3{font-size:1.02rem;margin:0}
.lead,.note,section>p{color:var(--ink-soft);max-width:75ch;margin:.2rem 0 1rem}
nav{position:sticky;top:0;background:var(--page);border-bottom:1px solid var(--line);z-index:2;margin-top:1.2rem}
nav ul{list-style:none;display:flex;gap:.2rem;overflow-x:auto;max-width:1180px;margin:0 auto;padding:.35rem 1rem}
nav a{display:block;padding:.35rem .7rem;border-radius:6px;text-decoration:none;color:var(--ink);white-space:nowrap}
nav a:hover{background:var(--mark)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:.8rem;margin:1.2rem 0 0;padding:0}
.facts>div,figure,.tablebox,details{background:var(--panel);border:1px solid var(--line);border-radius:10px}
.facts>div{padding:.8rem 1rem}
.facts dt{color:var(--ink-soft);font-size:.85rem}
.facts dd{margin:0}
.facts .value{font-size:1.25rem;font-weight:650;overflow-wrap:anywhere;line-height:1.3}
.facts .detail{color:var(--ink-soft);font-size:.85rem}
section{padding:2.2rem 0 0}
figure{margin:0 0 1rem;padding:1rem}
figcaption p{margin:.15rem 0 .5rem;color:var(--ink-soft);font-size:.92rem}
figure svg{display:block;max-width:100%;height:auto}
.narrow{display:none!important}
@media (max-width:719px){.wide{display:none!important}.narrow{display:block!important}figure{padding:.8rem .6rem}}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:.1rem 0 .5rem;font-size:.88rem}
.legend li{display:flex;align-items:center;gap:.4rem}
.legend svg{flex:none}
.tablebox{margin:0 0 1rem;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption,summary{text-align:left;padding:.7rem 1rem;font-weight:600}
caption{caption-side:top}
caption span{position:sticky;left:1rem;display:inline-block;max-width:min(calc(100vw - 4.2rem),1120px)}
summary{cursor:pointer}
details{margin:0 0 .6rem}
details .tablebox{border:0;margin:0;border-top:1px solid var(--line);border-radius:0}
details caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);padding:0}
th,td{padding:.4rem .65rem;border-top:1px solid var(--line);text-align:left;vertical-align:top}
thead th{color:var(--ink-soft);font-weight:600;font-size:.82rem;vertical-align:bottom}
tbody th{font-weight:500}
td.num,.short{white-space:nowrap}
.words{min-width:14rem;overflow-wrap:anywhere}
@media (max-width:719px){thead th{white-space:nowrap}td.words{min-width:18rem}th.words{min-width:10rem}}
.num{text-align:right;font-variant-numeric:tabular-nums}
td a,tbody th a{color:inherit;text-decoration-color:var(--ink-soft)}
td a:hover,tbody th a:hover{color:var(--link)}
.best{font-weight:700}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}.quiet{color:var(--ink-soft)}
footer{padding:2rem 1rem 3rem;color:var(--ink-soft);font-size:.88rem}
@media print{nav,.skip{display:none}body{background:#fff}}
`.trim();
