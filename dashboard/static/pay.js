// The pages of /pay. One that has something to pay opens Razorpay's window and sends back what it answers; one whose
// payment is not confirmed yet asks until it is.
const page = document.querySelector("main");
const said = document.getElementById("said");
const SLOWLY = 30; // times it is asked each second; after that every tenth

function say(sentence, wrong = false) {
  said.textContent = sentence;
  said.className = wrong ? "wrong" : "";
}

function sendBack(answer) {
  // A form, since the page that follows is another one.
  const form = document.createElement("form");
  form.method = "post";
  form.action = page.dataset.back;
  for (const name of ["razorpay_payment_id", "razorpay_signature"]) {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = answer[name] ?? "";
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}

function offer(button) {
  const options = JSON.parse(page.dataset.checkout);
  button.addEventListener("click", () => {
    if (!window.Razorpay) {
      say("Razorpay’s checkout did not load. Check your connection, or what blocks scripts, and reload this page.", true);
      return;
    }
    button.disabled = true;
    say("Razorpay’s window is open.");
    const checkout = new window.Razorpay({
      ...options,
      handler: (answer) => {
        say("Paid. One moment…");
        sendBack(answer);
      },
      modal: {
        ondismiss: () => {
          button.disabled = false;
          say("You closed the window, and nothing was paid. You can try again.");
        },
      },
    });
    // The window stays open, for another try; this is what stands here once it is closed.
    checkout.on("payment.failed", (answer) => say(answer?.error?.description ?? "The payment failed.", true));
    checkout.open();
  });
  button.disabled = false;
}

async function wait(asked = 0) {
  await new Promise((resolve) => setTimeout(resolve, asked < SLOWLY ? 1000 : 10000));
  try {
    const answer = await fetch(page.dataset.wait, { cache: "no-store" });
    if (answer.status === 401 || (answer.ok && (await answer.json()).confirmed)) {
      location.reload();
      return;
    }
  } catch {
    // The connection comes back, or it does not: it is asked again.
  }
  wait(asked + 1);
}

if (page.dataset.wait) wait();
if (page.dataset.checkout) offer(document.getElementById("pay"));
