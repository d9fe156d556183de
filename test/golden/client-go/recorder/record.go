package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
)

// entry is one line of a recording. Times are milliseconds of the monotonic clock since the start of the story.
type entry struct {
	Elector  string          `json:"elector,omitempty"`
	Started  float64         `json:"started"`
	Ended    float64         `json:"ended"`
	Method   string          `json:"method,omitempty"`
	Path     string          `json:"path,omitempty"`
	Status   int             `json:"status,omitempty"`
	Request  json.RawMessage `json:"request,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
	Note     string          `json:"note,omitempty"`
}

// tape writes entries in the order in which their answers came.
type tape struct {
	mu    sync.Mutex
	out   *json.Encoder
	start time.Time
}

func (t *tape) now() float64 { return float64(time.Since(t.start).Microseconds()) / 1000 }

func (t *tape) write(e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.out.Encode(e); err != nil {
		fail(err)
	}
}

func (t *tape) note(text string) {
	now := t.now()
	t.write(entry{Started: now, Ended: now, Note: text})
	fmt.Fprintln(os.Stderr, text)
}

var errSilent = errors.New("this elector lost power")

// tap records what one elector asks and is answered, until it falls silent.
type tap struct {
	tape    *tape
	elector string
	next    http.RoundTripper
	silent  atomic.Bool
	writes  chan int
}

func (t *tap) wrap(c *rest.Config) {
	c.Wrap(func(next http.RoundTripper) http.RoundTripper {
		t.next = next
		return t
	})
}

func (t *tap) RoundTrip(request *http.Request) (*http.Response, error) {
	if t.silent.Load() {
		return nil, errSilent
	}
	e := entry{Elector: t.elector, Started: t.tape.now(), Method: request.Method, Path: request.URL.Path}
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		e.Request = compact(body)
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	e.Ended, e.Status, e.Response = t.tape.now(), response.StatusCode, compact(body)
	t.tape.write(e)
	if request.Method != http.MethodGet && response.StatusCode < 300 {
		select {
		case t.writes <- response.StatusCode:
		default:
		}
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func compact(body []byte) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, body) != nil {
		text, _ := json.Marshal(string(body))
		return text
	}
	return out.Bytes()
}

// contender is one life of an elector.
type contender struct {
	tap    *tap
	cancel context.CancelFunc
	done   chan struct{}
}

func (t *tape) contend(kubeconfig, identity string, timing timing) (*contender, error) {
	tapped := &tap{tape: t, elector: identity, writes: make(chan int, 100)}
	noted := func(what string) func() { return func() { t.note(identity + " " + what) } }
	elector, err := newElector(kubeconfig, identity, controlPlane, timing, tapped.wrap, leaderelection.LeaderCallbacks{
		OnStartedLeading: func(context.Context) { noted("leads")() },
		OnStoppedLeading: noted("stopped"),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &contender{tap: tapped, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		elector.Run(ctx)
	}()
	return c, nil
}

// wrote waits until so many more writes have been accepted.
func (c *contender) wrote(n int) {
	for range n {
		<-c.tap.writes
	}
}

// record plays: a creates the Lease, renews it three times and releases it; b takes it, renews it three times and loses power; a takes it
// after the silence, renews it twice and releases it.
func record(args []string) error {
	flags := flag.NewFlagSet("record", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API")
	out := flags.String("out", "", "file for the recording")
	t := timing{}
	flags.DurationVar(&t.lease, "lease", 5*time.Second, "lease duration")
	flags.DurationVar(&t.deadline, "deadline", 3*time.Second, "renew deadline")
	flags.DurationVar(&t.retry, "retry", time.Second, "retry period")
	_ = flags.Parse(args)
	file, err := os.Create(*out)
	if err != nil {
		return err
	}
	defer file.Close()
	story := &tape{out: json.NewEncoder(file), start: time.Now()}

	a, err := story.contend(*kubeconfig, "a", t)
	if err != nil {
		return err
	}
	a.wrote(1)
	b, err := story.contend(*kubeconfig, "b", t)
	if err != nil {
		return err
	}
	a.wrote(3)
	story.note("a is told to stop")
	a.cancel()
	<-a.done
	b.wrote(4)
	story.note("b loses power")
	b.tap.silent.Store(true)
	if a, err = story.contend(*kubeconfig, "a", t); err != nil {
		return err
	}
	a.wrote(3)
	story.note("a is told to stop")
	a.cancel()
	<-a.done
	return nil
}
