/// The ways in which transformers names and arranges encoders of BERT's kind.
enum BERTLayout {
  case bert
  /// RoBERTa, XLM-RoBERTa, CamemBERT: numbers of positions begin behind that of the padding token, 1, and all tokens are of one
  /// kind.
  case roberta
  /// DistilBERT: no kinds of tokens, no pooler.
  case distilbert

  /// The layout that the names of a checkpoint tell, or `config.json` where names are shared.
  init(_ checkpoint: Checkpoint, prefix: String) {
    let families = ["roberta", "xlm-roberta", "camembert"]
    if checkpoint["\(prefix)transformer.layer.0.attention.q_lin.weight"] != nil {
      self = .distilbert
    } else if prefix == "roberta." || families.contains(checkpoint.settings.family ?? "") {
      self = .roberta
    } else {
      self = .bert
    }
  }

  /// Prefixes of the encoder's tensors beside a head's.
  static let prefixes = ["bert.", "roberta.", "distilbert."]

  /// What the parts of a layer are called behind its own name.
  struct LayerNames {
    let query, key, value, projection, attentionNorm, expansion, contraction, norm: String
  }

  var names: LayerNames {
    guard self == .distilbert else {
      return LayerNames(
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        projection: "attention.output.dense",
        attentionNorm: "attention.output.LayerNorm",
        expansion: "intermediate.dense",
        contraction: "output.dense",
        norm: "output.LayerNorm"
      )
    }
    return LayerNames(
      query: "attention.q_lin",
      key: "attention.k_lin",
      value: "attention.v_lin",
      projection: "attention.out_lin",
      attentionNorm: "sa_layer_norm",
      expansion: "ffn.lin1",
      contraction: "ffn.lin2",
      norm: "output_layer_norm"
    )
  }

  /// The name of the layer `index` behind the prefix.
  func layer(_ index: Int) -> String {
    self == .distilbert ? "transformer.layer.\(index)" : "encoder.layer.\(index)"
  }

  /// The row of the table of positions that the first token has.
  var firstPosition: Int { self == .roberta ? 2 : 0 }

  /// What normalisation adds to the variance where no file tells.
  var epsilon: Float { self == .roberta ? 1e-5 : 1e-12 }

  /// Prefixes of what pre-training adds.
  var pretraining: [String] {
    ["cls.", "lm_head.", "vocab_transform.", "vocab_layer_norm.", "vocab_projector."]
  }
}
