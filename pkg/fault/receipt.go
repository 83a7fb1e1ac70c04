package fault

// BadReceipt is a receipt of a message that nobody who sends messages has signed, or not now.
const BadReceipt Kind = "bad_receipt"
