// Browsers start no worker for a page that was opened as a file. The search of the documentation runs
// in one: here it is a hidden frame.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    #inside = null;
    #waiting = [];

    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = address;
      script.onload = () => {
        this.#inside = inside;
        this.#waiting.forEach((data) => this.postMessage(data));
      };
      inside.document.body.append(script);
    }

    postMessage(data) {
      if (this.#inside === null) {
        this.#waiting.push(data);
      } else {
        this.#inside.dispatchEvent(new this.#inside.MessageEvent("message", { data }));
      }
    }
  };
  window.Worker = window.IFrameWorker;
}
