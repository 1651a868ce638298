"use strict";
(() => {
  const text = document.createElement("pre");
  text.textContent = JSON.stringify(JSON.parse(document.getElementById("report").textContent), null, 2);
  document.getElementById("page").append(text);
})();
