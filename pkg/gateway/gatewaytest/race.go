package gatewaytest

import (
	"sync"
	"testing"
)

// Race sends n requests at once: all wait at a barrier until the last one is ready.
func Race(n int, send func(i int) Reply) []Reply {
	replies := make([]Reply, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			replies[i] = send(i)
		})
	}
	done.Wait()
	return replies
}

// OneWins fails the test unless exactly one of the replies has tokens and every other
// one is a refusal with 403 invalid_grant. It returns the winner.
func OneWins(t testing.TB, replies []Reply) Reply {
	t.Helper()
	winners := Winners(t, replies)
	if len(winners) != 1 {
		t.Fatalf("%d of %d requests got tokens, want exactly one", len(winners), len(replies))
	}
	return winners[0]
}

// Winners are the replies that have tokens; each other one must be 403 invalid_grant.
func Winners(t testing.TB, replies []Reply) []Reply {
	t.Helper()
	var out []Reply
	for _, r := range replies {
		switch {
		case r.Status == 200 && r.Text("access_token") != "":
			out = append(out, r)
		case r.Status != 403 || r.Text("error") != "invalid_grant":
			t.Errorf("a loser got %d %s, want 403 invalid_grant", r.Status, r.Body)
		}
	}
	return out
}
