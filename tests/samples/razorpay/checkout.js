// A checkout of the tests: the window that Razorpay's script opens, as far as a page sees of it.
const home = new URL(document.currentScript.src).origin;

window.Razorpay = class {
  constructor(options) {
    this.options = options;
    this.failed = () => {};
  }

  on(event, work) {
    if (event === "payment.failed") this.failed = work;
  }

  open() {
    const frame = document.createElement("dialog");
    const { name, description, prefill } = this.options;
    frame.append(`${name}: ${description}, ${prefill.email}`);
    this.button(frame, "Pay at Razorpay", async () => {
      const paid = this.options.order_id ?? this.options.subscription_id;
      const answer = await fetch(`${home}/checkout/${paid}`);
      frame.remove();
      this.options.handler(await answer.json());
    });
    this.button(frame, "Have it refused", () => this.failed({ error: { description: "The bank refused the card." } }));
    this.button(frame, "Close the window", () => {
      frame.remove();
      this.options.modal.ondismiss();
    });
    document.body.append(frame);
    frame.show();
  }

  button(frame, label, work) {
    const one = document.createElement("button");
    one.textContent = label;
    one.addEventListener("click", work);
    frame.append(one);
  }
};
