"""The initialisation stage: a student made out of another model, as a part of it or with its architecture and fresh weights."""

from tasks.core.artifact import Artifact
from tasks.core.caching import Stage
from tasks.core.environment import prepare_libraries
from tasks.core.progress import stage_logger
from tasks.core.records import PROMPTS
from tasks.core.tables import read_table
from tasks.core.weights import WEIGHTS, locate_weights, weight_bytes
from tasks.initialisers.settings import FreshSettings, PruningSettings

STAGE = Stage("model", version=2)


@STAGE.task
def prune_model(settings: PruningSettings, store: str, model: Artifact, prompts: Artifact) -> Artifact:
    """Cut a model down to its most influential layers and neurons, and to the tokens that are needed.

    Args:
        settings: What is cut.
        store: URL of the artefact store.
        model: A ``model`` or ``student`` artefact.
        prompts: A ``prompts`` artefact; its training prompts say what is influential and needed.

    Returns:
        Handle of a ``model`` artefact; its record says what was kept and how influential every layer was.

    Raises:
        SettingsError: If more is to be kept than there is, or the tokenizer cannot be trimmed.
        ModelError: If the model is not of a kind that can be cut.
    """
    prepare_libraries()
    from tasks.initialisers.pruned import prune

    with STAGE.draft(store, settings, model=model, prompts=prompts) as draft:
        training = [prompt for prompt in read_table(prompts, PROMPTS) if prompt["split"] == "train"]
        weights = draft.path / WEIGHTS
        draft.summary = prune(locate_weights(model), weights, settings, training)
        draft.counts = {"layers": len(draft.summary["kept_layers"]), "weight_bytes": weight_bytes(weights)}
        kept = {name: value for name, value in draft.summary.items() if name != "block_influence"}
        stage_logger().info("model: what was kept is %s", kept)
        return draft.publish()


@STAGE.task
def draw_model(settings: FreshSettings, store: str, model: Artifact) -> Artifact:
    """Make a model with the architecture and tokenizer of another one and newly drawn weights.

    Args:
        settings: The seed, and how its configuration differs.
        store: URL of the artefact store.
        model: A ``model`` or ``student`` artefact.

    Returns:
        Handle of a ``model`` artefact.

    Raises:
        SettingsError: If the configuration has no such field, or describes a model that does not work.
    """
    prepare_libraries()
    from tasks.initialisers.fresh import draw_weights

    with STAGE.draft(store, settings, model=model) as draft:
        weights = draft.path / WEIGHTS
        draft.summary = draw_weights(locate_weights(model), weights, settings)
        draft.counts = {"layers": draft.summary["layers"], "weight_bytes": weight_bytes(weights)}
        stage_logger().info("model: drew %s parameters with seed %s", draft.summary["parameters"], settings.seed)
        return draft.publish()
