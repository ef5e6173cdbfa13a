package canary

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestEachPaidCallArrivesOnce(t *testing.T) {
	seen := make(chan string, 100)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- r.Method + " " + r.URL.Path + " " + r.Header.Get("X-Gavel-Job") + " " + r.Header.Get("X-Gavel-Call") + " " + string(body)
	})
	a := newAttempt(t, `{"steps":3,"calls_per_step":2,"call_micro_usd":3,"call_url":"`+url+`/pay"}`)
	require.Equal(t, 6, a.mustRun(t).Calls)
	require.Len(t, seen, 6)
	require.Equal(t, "POST /pay "+string(testJob)+` s1-c1 {"job":"`+string(testJob)+`","call":"s1-c1"}`, <-seen)
	require.Len(t, a.usages, 6)
}

func TestNothingArrivesWithoutAPermit(t *testing.T) {
	var arrived atomic.Int32
	url := serve(t, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	a := newAttempt(t, `{"steps":3,"calls_per_step":1,"call_url":"`+url+`"}`)
	a.onCheck = func(c job.Call) {
		if c.ID == "s2-c1" {
			a.stop(&job.Stop{Kind: job.StopLeaseLost})
		}
	}
	_, err := a.run()
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopLeaseLost})
	require.EqualValues(t, 1, arrived.Load())
}

func TestACallInFlightIsCutAndBookedAsAnEstimate(t *testing.T) {
	arrived, cut := make(chan bool), make(chan bool)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		arrived <- true
		<-r.Context().Done()
		close(cut)
	})
	a := newAttempt(t, `{"calls_per_step":1,"call_micro_usd":40,"call_url":"`+url+`"}`)
	go func() {
		<-arrived
		a.stop(&job.Stop{Kind: job.StopKilled})
	}()
	_, err := a.run()
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
	<-cut
	require.Equal(t, []job.Usage{{CallID: "s1-c1", Model: "canary", Cost: 40, Estimated: true}}, a.usages)
}

func TestAnswersOfTheWitness(t *testing.T) {
	for status, retry := range map[int]bool{429: true, 408: true, 500: true, 503: true, 400: false, 404: false, 302: false} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(status)
		})
		a := newAttempt(t, `{"calls_per_step":1,"call_micro_usd":40,"call_url":"`+url+`"}`)
		_, err := a.run()
		require.Error(t, err)
		if retry {
			require.ErrorIs(t, err, job.ErrRetryable, status)
		} else {
			require.NotErrorIs(t, err, job.ErrRetryable, status)
		}
		require.Zero(t, a.usages[0].Cost, "who refuses does not bill")
	}
}

func TestAWitnessThatLeavesIsRetryable(t *testing.T) {
	var calls atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 1:
			w.Header().Set("Connection", "close") // the next call connects anew
		case 3:
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
		}
	})
	a := newAttempt(t, `{"steps":9,"calls_per_step":1,"call_micro_usd":40,"call_url":"`+url+`"}`)
	_, err := a.run()
	require.ErrorIs(t, err, job.ErrRetryable)
	require.Len(t, a.usages, 3)
	require.True(t, a.usages[2].Estimated)

	gone := newAttempt(t, `{"calls_per_step":1,"call_url":"`+closedURL(t)+`"}`)
	_, err = gone.run()
	require.ErrorIs(t, err, job.ErrRetryable)
	require.Empty(t, gone.history(), "no money is asked for a call that cannot be made")
}

func closedURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}

func TestAJobCannotSendTheWorkerElsewhere(t *testing.T) {
	for _, url := range []string{"http://192.0.2.1:80/", "http://169.254.169.254/latest", "http://[::ffff:192.0.2.1]:8080/", "http://0.0.0.0:1/"} {
		a := newAttempt(t, `{"calls_per_step":1,"call_url":"`+url+`"}`)
		_, err := a.run()
		require.ErrorIs(t, err, errElsewhere, url)
		require.NotErrorIs(t, err, job.ErrRetryable)
	}
	require.NoError(t, newWitness("http://modelsim/x", []string{"modelsim:80"}).allowed("tcp", "192.0.2.1:80", nil))
	require.Error(t, newWitness("http://modelsim/x", nil).allowed("tcp", "192.0.2.1:80", nil))
	require.True(t, strings.HasSuffix(newWitness("http://[::1]/x", nil).host, "]:80"))
}
