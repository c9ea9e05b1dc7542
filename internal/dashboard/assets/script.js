// The page shows all applications, or the one that its address names.

import { byId, mayChange, setHidden } from "./dom.js";

const one = location.pathname.endsWith("/app");
byId("main").replaceChildren(byId(one ? "app-page" : "list-page").content.cloneNode(true));
setHidden(byId("sign-in"), mayChange || !document.documentElement.dataset.signIn);

const { start } = await import(one ? "./app.js" : "./list.js");
start();
