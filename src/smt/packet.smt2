
; What packets there are.

; Where the packet is.
(define-sort Hook () (_ BitVec 3))
(define-fun prerouting () Hook #b000)
(define-fun input () Hook #b001)
(define-fun forward () Hook #b010)
(define-fun output () Hook #b011)
(define-fun postrouting () Hook #b100)
(declare-const hook Hook)
(assert (bvule hook postrouting))

; The end that a translation changes there: the destination at the first two, the source at the others.
(define-fun translates-destination () Bool (or (= hook prerouting) (= hook output)))
(define-fun translates-source () Bool (or (= hook input) (= hook postrouting)))

; Whether it is of IPv6, or else of IPv4.
(declare-const is-ipv6 Bool)

; TCP, UDP, or anything else, which has no ports.
(define-sort Protocol () (_ BitVec 2))
(define-fun tcp () Protocol #b00)
(define-fun udp () Protocol #b01)
(define-fun other () Protocol #b10)
(declare-const protocol Protocol)
(assert (bvule protocol other))
(define-fun has-ports () Bool (distinct protocol other))
(declare-const source-port (_ BitVec 16))
(declare-const destination-port (_ BitVec 16))
(assert (or has-ports (and (= source-port #x0000) (= destination-port #x0000))))

; An address of IPv4 has 96 zeros in front.
(define-sort Address () (_ BitVec 128))
(define-fun is-address ((a Address)) Bool
  (or is-ipv6 (= ((_ extract 127 32) a) (_ bv0 96))))
(define-fun in4 ((a Address) (network (_ BitVec 32)) (mask (_ BitVec 32))) Bool
  (= (bvand ((_ extract 31 0) a) mask) network))
(define-fun in6 ((a Address) (network Address) (mask Address)) Bool
  (= (bvand a mask) network))
(declare-const source Address)
(declare-const destination Address)
(assert (and (is-address source) (is-address destination)))

; The interfaces that it came in on and goes out on: the bytes of the name, then zeros. Where there
; is none, all are zeros. A byte is printable: rules can name letters, digits, `.`, `_` and `-` only,
; so that `~` does for every other byte that the kernel allows.
(define-sort Byte () (_ BitVec 8))
(define-sort Interface () (_ BitVec 120))
(define-fun is-byte ((b Byte)) Bool
  (and (bvule #x21 b) (bvule b #x7e) (distinct b #x2f) (distinct b #x3a)))
(define-fun may-follow ((before Byte) (b Byte)) Bool
  (or (= b #x00) (and (is-byte b) (distinct before #x00))))
(define-fun is-interface ((n Interface)) Bool
  (and
    (is-byte ((_ extract 119 112) n))
    (may-follow ((_ extract 119 112) n) ((_ extract 111 104) n))
    (may-follow ((_ extract 111 104) n) ((_ extract 103 96) n))
    (may-follow ((_ extract 103 96) n) ((_ extract 95 88) n))
    (may-follow ((_ extract 95 88) n) ((_ extract 87 80) n))
    (may-follow ((_ extract 87 80) n) ((_ extract 79 72) n))
    (may-follow ((_ extract 79 72) n) ((_ extract 71 64) n))
    (may-follow ((_ extract 71 64) n) ((_ extract 63 56) n))
    (may-follow ((_ extract 63 56) n) ((_ extract 55 48) n))
    (may-follow ((_ extract 55 48) n) ((_ extract 47 40) n))
    (may-follow ((_ extract 47 40) n) ((_ extract 39 32) n))
    (may-follow ((_ extract 39 32) n) ((_ extract 31 24) n))
    (may-follow ((_ extract 31 24) n) ((_ extract 23 16) n))
    (may-follow ((_ extract 23 16) n) ((_ extract 15 8) n))
    (may-follow ((_ extract 15 8) n) ((_ extract 7 0) n))
    ; The kernel refuses `.` and `..`.
    (distinct n #x2e0000000000000000000000000000)
    (distinct n #x2e2e00000000000000000000000000)))
(define-fun no-interface () Interface #x000000000000000000000000000000)
(define-fun lo () Interface #x6c6f00000000000000000000000000)
(declare-const in-interface Interface)
(declare-const out-interface Interface)
(assert (ite (or (= hook prerouting) (= hook input) (= hook forward))
  (is-interface in-interface)
  (or (= in-interface no-interface) (and (= hook postrouting) (is-interface in-interface)))))
(assert (ite (or (= hook forward) (= hook output) (= hook postrouting))
  (is-interface out-interface)
  (= out-interface no-interface)))

; Whose socket it has: a process's, of a user and a group, the kernel's, or none. At prerouting it is
; that of the transparent proxy that takes the packet, if one does. No one has the highest number.
(define-sort Sender () (_ BitVec 2))
(define-fun process () Sender #b00)
(define-fun kernel () Sender #b01)
(define-fun nobody () Sender #b10)
(declare-const sender Sender)
(assert (bvule sender nobody))
(assert (=> (= hook prerouting) (distinct sender kernel)))
(assert (=> (= hook forward) (= sender nobody)))
(declare-const user (_ BitVec 32))
(declare-const group (_ BitVec 32))
(assert (and (distinct user #xffffffff) (distinct group #xffffffff)))

; Its mark, and that of its connection, which means nothing if it has none.
(declare-const mark (_ BitVec 32))
(declare-const connmark (_ BitVec 32))

; What connection tracking says of it.
(define-sort State () (_ BitVec 3))
(define-fun invalid () State #b000)
(define-fun new () State #b001)
(define-fun established () State #b010)
(define-fun related () State #b011)
(define-fun untracked () State #b100)
(define-fun has-connection ((of State)) Bool (and (distinct of invalid) (distinct of untracked)))
(declare-const state State)
(assert (bvule state untracked))

; What is decided of its connection's translation: nothing, so that nat chains are asked; that it
; stays as it is; or that one end becomes another address and port.
(define-sort Decided () (_ BitVec 2))
(define-fun nothing () Decided #b00)
(define-fun unchanged () Decided #b01)
(define-fun becomes () Decided #b10)
(declare-const decided Decided)
(assert (bvule decided becomes))
(assert (=> (= hook forward) (= decided unchanged)))
(assert (=> (= decided nothing) (or (= state new) (= state related))))
(assert (=> (= decided becomes) (has-connection state)))
(declare-const becomes-address Address)
(declare-const becomes-port (_ BitVec 16))
(assert (is-address becomes-address))

; The first address of the incoming interface, to which a redirect leads.
(declare-const interface-address Address)
(assert (is-address interface-address))

; Whether its addresses are this machine's: as they came, and what a translation makes of one.
(declare-const source-is-local Bool)
(declare-const destination-is-local Bool)
(declare-const translated-is-local Bool)

; Whether a transparent socket that is bound to an address takes it.
(declare-const transparent-socket Bool)
