"""Sections that name the user's own code: its path, its arguments, and whether it may be imported."""

from typing import Any, Self

from pydantic import Field, PrivateAttr
from typing_extensions import override

from simtrain.config.section import Section
from simtrain.errors import ConfigError
from simtrain.own_code import is_code_allowed, refused


class NamedCode(Section):
    """A class or function of the user's own, by its path.

    The section also carries, besides its fields and in no file: which file it was read from, whether code was allowed
    then, and the object itself where one was handed over in Python.
    """

    target: str = Field(pattern=r"^[^\s:]+:[^\s:]+$")
    """Path of the class or function, `package.module:Name`; imported only with `--allow-code`."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments that it is called with."""

    instance: bool = False
    """Whether an object was handed over in Python that cannot be made again from `target`; whoever opens the run hands
    it over again."""

    _file: str = PrivateAttr(default="a configuration")
    _allowed: bool = PrivateAttr(default=False)
    _object: Any = PrivateAttr(default=None)

    @override
    def model_post_init(self, context: Any) -> None:
        self._allowed = is_code_allowed()
        if isinstance(context, dict) and "file" in context:
            self._file = str(context["file"])

    @property
    def file(self) -> str:
        """The file, or whatever else, that it was read from."""
        return self._file

    @property
    def is_allowed(self) -> bool:
        """Whether it may be imported: it is allowed here, or was where the section was read."""
        return self._allowed or is_code_allowed()

    def check_allowed(self) -> None:
        """See that the code may be imported, or need not be.

        Raises:
            CodeNotAllowedError: if it may not.
            ConfigError: if it was an object that is no longer in memory.
        """
        if self._object is None and self.instance:
            raise ConfigError(
                f"{self._file}: an object of {self.target} was handed over in Python, which its name cannot make "
                "again; hand it over again: simtrain.open_run(RUN, encoder=…), simtrain.fit(resume=RUN, encoder=…, "
                "objective=…) or simtrain.open_bundle(BUNDLE, encoder=…)",
                argument="target",
            )
        if self._object is None and not self.is_allowed:
            raise refused(self.target, file=self._file)

    @property
    def handed_over(self) -> Any:
        """The object that was handed over in Python; None: none was."""
        return self._object

    def holding(self, thing: Any) -> Self:
        """The same section with an object that is used instead of what `target` names."""
        held = self.model_copy()
        held._object = thing
        return held

    def like(self, other: object) -> Self:
        """The same section, with the object and the permission of another one that names the same code."""
        if not isinstance(other, NamedCode) or other.target != self.target:
            return self
        held = self.holding(self._object if self._object is not None else other._object)
        held._allowed, held._file = self._allowed or other._allowed, other._file
        return held
