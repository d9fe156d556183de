// Recorder runs the real leader election of client-go, the one that kube-vip has:
//
//	recorder record -kubeconfig FILE -out FILE   plays a fixed story with two electors and writes down every request about the Lease
//	recorder elect -kubeconfig FILE ...          one elector that holds an address while it leads, a stand-in for kube-vip
package main

import (
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	leaseNamespace = "kube-system"
	leaseName      = "plndr-cp-lock" // kube-vip's, for the control plane
)

type timing struct{ lease, deadline, retry time.Duration }

// lock names the Lease that is elected by; the control plane's where nothing is said.
type lock struct{ namespace, name string }

var controlPlane = lock{leaseNamespace, leaseName}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: recorder record|elect [flags]"))
	}
	var err error
	switch os.Args[1] {
	case "record":
		err = record(os.Args[2:])
	case "elect":
		err = elect(os.Args[2:])
	default:
		err = fmt.Errorf("no command %q", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "recorder:", err)
	os.Exit(1)
}

// newElector makes an elector as kube-vip does: a LeaseLock, released when its context ends.
func newElector(kubeconfig, identity string, on lock, t timing, wrap func(*rest.Config), callbacks leaderelection.LeaderCallbacks) (*leaderelection.LeaderElector, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.ContentType = "application/json" // so that what is recorded can be read; the fields are the same
	wrap(config)
	client, err := coordinationv1.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: on.namespace, Name: on.name},
			Client:     client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		ReleaseOnCancel: true,
		LeaseDuration:   t.lease,
		RenewDeadline:   t.deadline,
		RetryPeriod:     t.retry,
		Callbacks:       callbacks,
	})
}
