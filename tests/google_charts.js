// Stands in for https://www.gstatic.com/charts/loader.js, which torch-tb-profiler's page asks for:
// the part of google.visualization that the page calls, drawn plainly. What a chart shows stands in
// its container's data-chart, so that a test can read it.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const COLORS = ["#3366cc", "#dc3912", "#ff9900", "#109618", "#990099", "#0099c6", "#dd4477"];
  const value = (cell) => (cell && typeof cell === "object" && "v" in cell ? cell.v : cell);
  const shown = (cell) => (cell && typeof cell === "object" && "f" in cell ? cell.f : value(cell));

  class DataTable {
    columns = [];
    rows = [];
    addColumn(column) { this.columns.push(column); }
    addRow(row) { this.rows.push(row); }
    addRows(rows) { this.rows.push(...rows); }
    setProperty() {}
    // Columns that are drawn: the first names a row; tooltips and the like have a role.
    series() {
      return this.columns.map((column, at) => ({ ...column, at })).slice(1).filter((c) => !c.role);
    }
  }

  const arrayToDataTable = ([labels, ...rows]) => {
    const table = new DataTable();
    labels.forEach((label) => table.addColumn({ label }));
    table.addRows(rows);
    return table;
  };

  const element = (name, attributes, ...children) => {
    const made = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, given]) => made.setAttribute(key, given));
    made.append(...children);
    return made;
  };
  const text = (x, y, words, anchor = "start") =>
    element("text", { x, y, "font-size": 12, "text-anchor": anchor }, String(words));

  class Chart {
    constructor(container) { this.container = container; }
    clearChart() {
      this.container.replaceChildren();
      delete this.container.dataset.chart;
    }
    setSelection() {}
    getSelection() { return []; }
    getChartLayoutInterface() {
      return { getChartAreaBoundingBox: () => ({ left: 0, width: 1 }), getHAxisValue: (x) => x };
    }
    draw(table, options) {
      const width = this.container.clientWidth || 600;
      const height = Number(options.height) || 300;
      this.container.dataset.chart = JSON.stringify({
        kind: this.constructor.name,
        title: options.title ?? "",
        columns: table.columns.map((column) => column.label ?? column.id),
        rows: table.rows.map((row) => row.map(value)),
      });
      this.container.replaceChildren(this.picture(table, options, width, height));
    }
    picture(table, options, width, height) {
      const svg = element("svg", { width, height });
      if (options.title) svg.append(text(10, 16, options.title));
      this.fill(svg, table, options, { left: 90, top: 30, width: width - 110, height: height - 80 });
      return svg;
    }
    legend(svg, labels, box, colors) {
      labels.forEach((label, i) => {
        const x = box.left + (i * box.width) / labels.length;
        const y = box.top + box.height + 34;
        svg.append(element("rect", { x, y: y - 10, width: 10, height: 10, fill: colors[i % colors.length] }));
        svg.append(text(x + 14, y, label));
      });
    }
    axis(svg, top, box, title) {
      [0, 0.25, 0.5, 0.75, 1].forEach((share) => {
        const y = box.top + box.height * (1 - share);
        svg.append(element("line", { x1: box.left, x2: box.left + box.width, y1: y, y2: y, stroke: "#ccc" }));
        svg.append(text(box.left - 6, y + 4, Number((top * share).toPrecision(3)), "end"));
      });
      if (title) svg.append(text(10, box.top - 4, title));
    }
  }

  class ColumnChart extends Chart {
    fill(svg, table, options, box) {
      const colors = options.colors ?? COLORS;
      const series = table.series();
      const totals = table.rows.map((row) => series.reduce((sum, { at }) => sum + value(row[at]), 0));
      const top = Math.max(...totals, 1e-12);
      this.axis(svg, top, box, options.vAxis?.title);
      const step = box.width / Math.max(table.rows.length, 1);
      table.rows.forEach((row, i) => {
        let y = box.top + box.height;
        series.forEach(({ at }, k) => {
          const height = (value(row[at]) / top) * box.height;
          y -= height;
          const place = { x: box.left + step * (i + 0.2), y, width: step * 0.6, height };
          svg.append(element("rect", { ...place, fill: colors[k % colors.length] }));
        });
        svg.append(text(box.left + step * (i + 0.5), box.top + box.height + 16, shown(row[0]), "middle"));
      });
      this.legend(svg, series.map((one) => one.label), box, colors);
    }
  }
  class SteppedAreaChart extends ColumnChart {}
  class ComboChart extends ColumnChart {}

  class LineChart extends Chart {
    fill(svg, table, options, box) {
      const series = table.series();
      const all = (at) => table.rows.map((row) => value(row[at]));
      const top = Math.max(...series.flatMap(({ at }) => all(at)), 1e-12);
      const [low, high] = [Math.min(...all(0)), Math.max(...all(0))];
      this.axis(svg, top, box, options.vAxis?.title);
      series.forEach(({ at }, k) => {
        const points = table.rows.map((row) => {
          const x = box.left + (box.width * (value(row[0]) - low)) / (high - low || 1);
          return `${x},${box.top + box.height * (1 - value(row[at]) / top)}`;
        });
        const stroke = COLORS[k % COLORS.length];
        svg.append(element("polyline", { points: points.join(" "), fill: "none", stroke }));
      });
      svg.append(text(box.left, box.top + box.height + 16, low));
      svg.append(text(box.left + box.width, box.top + box.height + 16, high, "end"));
      this.legend(svg, series.map((one) => one.label), box, COLORS);
    }
  }

  class PieChart extends Chart {
    fill(svg, table, options, box) {
      const colors = options.colors ?? COLORS;
      const whole = table.rows.reduce((sum, row) => sum + value(row[1]), 0) || 1;
      const radius = box.height / 2;
      const [cx, cy] = [box.left + radius, box.top + radius];
      let turned = 0;
      table.rows.forEach((row, i) => {
        const share = value(row[1]) / whole;
        const at = (turns) => {
          const angle = 2 * Math.PI * turns;
          return `${cx + radius * Math.sin(angle)} ${cy - radius * Math.cos(angle)}`;
        };
        const end = turned + Math.min(share, 0.99999);
        const arc = `A ${radius} ${radius} 0 ${share > 0.5 ? 1 : 0} 1 ${at(end)}`;
        const fill = colors[i % colors.length];
        svg.append(element("path", { d: `M ${cx} ${cy} L ${at(turned)} ${arc} Z`, fill }));
        turned += share;
        if (options.legend !== "none" && 18 * i < box.height + 40) {
          const words = `${shown(row[0])}: ${(100 * share).toFixed(1)} %`;
          svg.append(element("rect", { x: cx + radius + 20, y: box.top + 18 * i - 10, width: 10, height: 10, fill }));
          svg.append(text(cx + radius + 36, box.top + 18 * i, words));
        }
      });
    }
  }

  class Timeline extends Chart {
    fill(svg, table, options, box) {
      const end = Math.max(...table.rows.map((row) => row[4]), 1e-12);
      table.rows.forEach((row) => {
        const place = { x: box.left + (box.width * row[3]) / end, y: 40 * Number(row[0]), height: 30 };
        svg.append(element("rect", { ...place, width: (box.width * (row[4] - row[3])) / end, fill: COLORS[0] }));
        svg.append(text(place.x, place.y + 20, row[1]));
      });
    }
  }

  class Table extends Chart {
    picture(table, options) {
      const made = document.createElement("table");
      made.border = 1;
      const line = (cells, name) => {
        const row = made.insertRow();
        cells.forEach((cell) => {
          const place = row.appendChild(document.createElement(name));
          place.textContent = String(cell);
        });
      };
      const sorted = [...table.rows];
      if (options.sortColumn !== undefined) {
        sorted.sort((a, b) => value(b[options.sortColumn]) - value(a[options.sortColumn]));
      }
      line(table.columns.map((column) => column.label), "th");
      sorted.slice(0, options.pageSize ?? 30).forEach((row) => line(row.map(shown), "td"));
      return made;
    }
  }

  window.google = {
    charts: { load: () => Promise.resolve() },
    visualization: {
      DataTable, arrayToDataTable, ColumnChart, SteppedAreaChart, ComboChart, LineChart, PieChart,
      Timeline, Table,
      events: { addListener() {} },
    },
  };
})();
