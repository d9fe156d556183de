/** What `kube-vip manifest pod` v1.0 prints for the control plane, with election, ARP and IPVS. */
export const STATIC_POD = `
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  name: kube-vip
  namespace: kube-system
  uid: kube-vip-pod
spec:
  containers:
  - args:
    - manager
    env:
    - name: vip_arp
      value: "true"
    - name: port
      value: "6443"
    - name: vip_nodename
      valueFrom:
        fieldRef:
          fieldPath: spec.nodeName
    - name: vip_interface
      value: eth0
    - name: vip_subnet
      value: "32"
    - name: dns_mode
      value: first
    - name: dhcp_mode
      value: ipv4
    - name: cp_enable
      value: "true"
    - name: cp_namespace
      value: kube-system
    - name: svc_enable
      value: "true"
    - name: svc_leasename
      value: plndr-svcs-lock
    - name: vip_leaderelection
      value: "true"
    - name: vip_leasename
      value: plndr-cp-lock
    - name: vip_leaseduration
      value: "15"
    - name: vip_renewdeadline
      value: "10"
    - name: vip_retryperiod
      value: "2"
    - name: lb_enable
      value: "true"
    - name: lb_port
      value: "6443"
    - name: address
      value: 192.168.0.40
    - name: prometheus_server
      value: :2112
    image: ghcr.io/kube-vip/kube-vip:v1.0.4
    imagePullPolicy: IfNotPresent
    name: kube-vip
    resources: {}
    securityContext:
      capabilities:
        add:
        - NET_ADMIN
        - NET_RAW
        drop:
        - ALL
    volumeMounts:
    - mountPath: /etc/kubernetes/admin.conf
      name: kubeconfig
  hostAliases:
  - hostnames:
    - kubernetes
    ip: 127.0.0.1
  hostNetwork: true
  volumes:
  - hostPath:
      path: /etc/kubernetes/super-admin.conf
    name: kubeconfig
status: {}
`;

/** A DaemonSet for Services as the Helm chart makes it, with its rights, in a namespace of its own; settings as arguments, too. */
export const DAEMON_SET = `
apiVersion: v1
kind: ServiceAccount
metadata: { name: kube-vip, namespace: lb }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "system:kube-vip-role" }
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "system:kube-vip-binding" }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: kubevip, namespace: kube-system }
data: { cidr-global: 192.0.2.0/24 }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: kube-vip-ds, namespace: lb }
spec:
  selector: { matchLabels: { app: kube-vip } }
  template:
    metadata: { labels: { app: kube-vip } }
    spec:
      serviceAccountName: kube-vip
      hostNetwork: true
      nodeSelector: { edge: "yes" }
      tolerations: [{ operator: Exists }]
      containers:
        - name: kube-vip
          image: registry:5000/mirror/kube-vip:v0.8.0
          command: [/kube-vip]
          args: [manager, --arp, --vipSubnet=auto, --leaderElectionType, kubernetes, --serviceInterface, eth1]
          env:
            - { name: vip_arp, value: "true" }
            - { name: svc_enable, value: "true" }
            - { name: svc_election, value: "true" }
            - { name: vip_arpRate, value: "100" }
            - { name: vip_interface, value: "" }
            - { name: vip_foo, value: "1" }
            - { name: TZ, value: UTC }
            - { name: bgp_peerpass, valueFrom: { secretKeyRef: { name: bgp, key: pass } } }
            - { name: lb_class_name, value: "a$$b" }
          securityContext: { privileged: true, capabilities: { add: [NET_ADMIN, SYS_TIME] } }
`;

/** What the Helm chart kube-vip makes of its default values: `lb_enable` is on, and there is no `vip_nodename`. */
export const HELM_CHART = `
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: kube-vip, namespace: kube-system }
spec:
  selector: { matchLabels: { app.kubernetes.io/name: kube-vip, app.kubernetes.io/instance: kube-vip } }
  template:
    metadata: { labels: { app.kubernetes.io/name: kube-vip, app.kubernetes.io/instance: kube-vip } }
    spec:
      containers:
        - args: [manager]
          env:
            - { name: "cp_enable", value: "false" }
            - { name: "lb_enable", value: "true" }
            - { name: "lb_port", value: "6443" }
            - { name: "svc_election", value: "false" }
            - { name: "svc_enable", value: "true" }
            - { name: "vip_arp", value: "true" }
            - { name: "vip_interface", value: "" }
            - { name: "vip_leaderelection", value: "false" }
            - { name: "vip_subnet", value: "32" }
          image: ghcr.io/kube-vip/kube-vip:v1.0.4
          imagePullPolicy: IfNotPresent
          name: kube-vip
          resources: {}
          securityContext: { capabilities: { add: [NET_ADMIN, NET_RAW], drop: [ALL] } }
      hostNetwork: true
      serviceAccountName: kube-vip
      tolerations: [{ effect: NoSchedule, key: node-role.kubernetes.io/control-plane, operator: Exists }]
`;

/** A DaemonSet of kube-vip's documentation (0.4): control plane and Services in the cluster, with names of then. */
export const OLD_DAEMON_SET = `
apiVersion: apps/v1
kind: DaemonSet
metadata: { creationTimestamp: null, name: kube-vip-ds, namespace: kube-system }
spec:
  selector: { matchLabels: { name: kube-vip-ds } }
  template:
    metadata: { creationTimestamp: null, labels: { name: kube-vip-ds } }
    spec:
      containers:
        - args: [manager]
          env:
            - { name: vip_arp, value: "true" }
            - { name: port, value: "6443" }
            - { name: vip_interface, value: eth0 }
            - { name: vip_cidr, value: "32" }
            - { name: cp_enable, value: "true" }
            - { name: cp_namespace, value: kube-system }
            - { name: vip_ddns, value: "false" }
            - { name: svc_enable, value: "true" }
            - { name: vip_leaderelection, value: "true" }
            - { name: vip_leaseduration, value: "5" }
            - { name: vip_renewdeadline, value: "3" }
            - { name: vip_retryperiod, value: "1" }
            - { name: lb_enable, value: "true" }
            - { name: lb_port, value: "6443" }
            - { name: lb_fwdmethod, value: local }
            - { name: vip_address, value: 192.168.0.1 }
          image: ghcr.io/kube-vip/kube-vip:v0.4.1
          imagePullPolicy: Always
          name: kube-vip
          resources: {}
          securityContext: { capabilities: { add: [NET_ADMIN, NET_RAW] } }
      hostNetwork: true
      serviceAccountName: kube-vip
  updateStrategy: {}
status: { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 }
`;
