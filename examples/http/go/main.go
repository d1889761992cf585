// A handler in Go: prices an order. A 422 makes a dead letter, a 503 costs no attempt.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"sync"
	"time"
)

var register sync.Mutex // there is one cash register

func handle(w http.ResponseWriter, r *http.Request) {
	var order struct{ Amount, Seconds json.Number }
	json.NewDecoder(r.Body).Decode(&order)
	if amount, _ := order.Amount.Int64(); amount < 1 {
		http.Error(w, "amount must be 1 or more", http.StatusUnprocessableEntity)
	} else if !register.TryLock() {
		http.Error(w, "the register is taken", http.StatusServiceUnavailable)
	} else {
		defer register.Unlock()
		log.Printf("working on %s, attempt %s", r.Header.Get("ce-id"), r.Header.Get("ce-attempt"))
		pause, _ := time.ParseDuration(order.Seconds.String() + "s")
		time.Sleep(pause)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"total": 3 * amount, "attempt": json.Number(r.Header.Get("ce-attempt"))})
	}
}

func main() { log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), http.HandlerFunc(handle))) }
