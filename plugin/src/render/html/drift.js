"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);

  /* Everything is put in as text, so nothing in a report is ever read as HTML. */
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };
  const shown = (value) => {
    if (value === null || value === undefined) return "none";
    return typeof value === "string" ? value : JSON.stringify(value);
  };
  const clusterOf = (application) => application.cluster.name || application.cluster.server || "?";
  const writersOf = (field) => {
    const managers = field.managers.map((one) => {
      const what = [one.operation, one.subresource].filter(Boolean).join(" ");
      return `${one.manager} (${what})${one.time ? ` at ${one.time}` : ""}`;
    });
    return managers.join(", ");
  };
  const peopleOf = (application) => application.resources
    .flatMap((resource) => resource.fields)
    .flatMap((field) => (field.person ? [personOf(field.person)] : field.managers.map((one) => one.manager)));
  const personOf = (person) => (typeof person === "string" ? person : person.name || JSON.stringify(person));
  const all = (values) => [...new Set(values.filter(Boolean))].sort((a, b) => a.localeCompare(b));

  const applications = report.applications.map((application) => ({
    application,
    cluster: clusterOf(application),
    environment: application.environment || "none",
    people: new Set(peopleOf(application)),
    text: JSON.stringify(application).toLowerCase(),
  }));

  const filters = { text: "", environment: "", cluster: "", person: "", verdict: "" };
  const fits = (one) =>
    (!filters.text || one.text.includes(filters.text.toLowerCase())) &&
    (!filters.environment || one.environment === filters.environment) &&
    (!filters.cluster || one.cluster === filters.cluster) &&
    (!filters.person || one.people.has(filters.person)) &&
    (!filters.verdict || one.application.verdict === filters.verdict);

  /* A link to the page can have filters behind its #, as in #environment=production&text=image. */
  const inputs = {};
  const readFragment = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(filters)) {
      const value = wanted.get(key) || "";
      inputs[key].value = value;
      /* A value that is not among the options is none. */
      filters[key] = inputs[key].value;
    }
    draw();
  };
  const writeFragment = () => {
    const wanted = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
    history.replaceState(null, "", `#${wanted}`);
  };

  const count = make("p", { class: "quiet", role: "status" });
  const list = make("div");
  const matrix = make("div");

  const select = (key, label, values) => {
    const options = [make("option", { value: "" }, "all"), ...values.map((value) => make("option", { value }, value))];
    const input = make("select", { name: key }, ...options);
    input.addEventListener("change", () => { filters[key] = input.value; draw(); writeFragment(); });
    inputs[key] = input;
    return make("label", {}, label, input);
  };
  const search = make("input", { type: "search", name: "text", placeholder: "name, field, value" });
  search.addEventListener("input", () => { filters.text = search.value; draw(); writeFragment(); });
  inputs.text = search;

  const pair = (name, value) => [make("dt", {}, name), make("dd", {}, value)];
  const fieldOf = (field) => {
    const same = field.masked && field.desired !== null && field.live !== null ? " (different)" : "";
    const writers = writersOf(field);
    return make("dl", {},
      ...pair("field", make("code", {}, field.path || "the whole object")),
      ...pair("desired", make("code", {}, shown(field.desired))),
      ...pair("live", make("code", {}, shown(field.live) + same)),
      ...(writers ? pair("by", writers) : []),
      ...(field.person ? pair("person", personOf(field.person)) : []));
  };
  const resourceOf = (resource) => make("div", { class: "resource" },
    make("h3", {}, `${resource.kind} ${resource.name}`),
    make("p", { class: "quiet" },
      [resource.namespace && `in ${resource.namespace}`, resource.cause, resource.effect && `a sync: ${resource.effect}`]
        .filter(Boolean).join(" · ")),
    ...resource.fields.map(fieldOf));
  const cardOf = ({ application, cluster, environment }) => make("details", { class: "card", open: application.verdict === "drifted" },
    make("summary", {},
      make("strong", {}, application.name || "no Application"),
      make("span", { class: `verdict ${application.verdict}` }, application.verdict),
      make("span", { class: "quiet" }, `${environment} · ${cluster}`)),
    make("div", {},
      make("p", { class: "quiet" }, `namespace ${application.namespace} · project ${application.project || "default"} · ${application.sync} · ${application.health || "health unknown"}`),
      application.reason ? make("p", {}, application.reason) : null,
      ...application.resources.map(resourceOf)));

  /* Applications that one set generates differ in the cluster's name, so they share a row. */
  const rowOf = (one) => {
    const rest = one.application.name.split(one.cluster).join("").replace(/^[-.]+|[-.]+$/g, "").replace(/[-.]{2,}/g, "-");
    return rest || one.application.name;
  };
  const drawMatrix = (fitting) => {
    const clusters = all(fitting.map((one) => one.cluster));
    const rows = all(fitting.map(rowOf));
    const cell = (row, cluster) => {
      const here = fitting.filter((one) => one.cluster === cluster && rowOf(one) === row);
      return make("td", {}, ...here.map((one) => make("div", { class: one.application.verdict }, one.application.verdict)));
    };
    const head = make("tr", {}, make("th", { scope: "col" }, "Application"), ...clusters.map((cluster) => make("th", { scope: "col" }, cluster)));
    const body = rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row), ...clusters.map((cluster) => cell(row, cluster))));
    matrix.replaceChildren(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Applications by cluster" },
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...body))));
  };
  const draw = () => {
    const fitting = applications.filter(fits);
    count.textContent = `${fitting.length} of ${applications.length} Applications`;
    list.replaceChildren(...fitting.filter((one) => one.application.verdict !== "clean").map(cardOf));
    drawMatrix(fitting);
  };

  const summary = report.summary;
  document.getElementById("page").append(
    make("h1", {}, "Drift"),
    make("p", { class: "quiet" },
      `${summary.applications} Applications: ${summary.drifted} drifted, ${summary.stale} stale, ${summary.unknown} unknown, ` +
      `${summary.clean} clean; ${summary.resources} resources differ. Source: ${report.source}.`),
    make("form", { class: "filters", role: "search" },
      make("label", {}, "Search", search),
      select("environment", "Environment", all(applications.map((one) => one.environment))),
      select("cluster", "Cluster", all(applications.map((one) => one.cluster))),
      select("person", "Who", all(applications.flatMap((one) => [...one.people]))),
      select("verdict", "Verdict", all(applications.map((one) => one.application.verdict)))),
    count,
    list,
    make("h2", {}, "Applications by cluster"),
    matrix,
    ...(report.problems.length
      ? [make("h2", {}, "What could not be seen"), make("ul", {}, ...report.problems.map((one) => make("li", {}, `${one.object}: ${one.message}`)))]
      : []));
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", readFragment);
  readFragment();
})();
